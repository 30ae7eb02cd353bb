import os

from scripted import MODEL_KEY, MODEL_URL, PROMPT, USER, finish, start

os.environ["GOOGLE_API_KEY"] = MODEL_KEY
os.environ["GOOGLE_GEMINI_BASE_URL"] = MODEL_URL

from composio_google_adk import GoogleAdkProvider
from google.adk.agents import Agent
from google.adk.runners import Runner
from google.adk.sessions import InMemorySessionService
from google.genai import types

_, session = start(GoogleAdkProvider())
agent = Agent(
    name="assistant", model="gemini-3-pro-preview", instruction="You work with GitHub.", tools=session.tools()
)
service = InMemorySessionService()
service.create_session_sync(app_name="assistant", user_id=USER, session_id="one")
runner = Runner(agent=agent, app_name="assistant", session_service=service)
content = types.Content(role="user", parts=[types.Part(text=PROMPT)])
answer = ""
for event in runner.run(user_id=USER, session_id="one", new_message=content):
    if event.is_final_response() and event.content and event.content.parts:
        answer = event.content.parts[0].text
finish(answer)
