from scripted import MODEL_KEY, OPENAI_URL, PROMPT, finish, start

from composio_crewai import CrewAIProvider
from crewai import LLM, Agent, Crew, Task

_, session = start(CrewAIProvider())
agent = Agent(
    role="Assistant",
    goal="File issues on behalf of the user",
    backstory="You are an agent that works with GitHub.",
    tools=session.tools(),
    llm=LLM(model="gpt-5.2", base_url=OPENAI_URL, api_key=MODEL_KEY),
)
task = Task(description=PROMPT, agent=agent, expected_output="The number of the issue")
finish(Crew(agents=[agent], tasks=[task]).kickoff())
