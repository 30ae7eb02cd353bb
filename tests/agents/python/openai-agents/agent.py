import asyncio

from scripted import API, MCP, MODEL_KEY, OPENAI_URL, PROMPT, STREAM, STRICT, finish, start

from agents import Agent, OpenAIChatCompletionsModel, OpenAIResponsesModel, Runner
from agents.mcp import MCPServerStreamableHttp
from composio_openai_agents import OpenAIAgentsProvider
from openai import AsyncOpenAI

_, session = start(OpenAIAgentsProvider(strict=STRICT))
client = AsyncOpenAI(base_url=OPENAI_URL, api_key=MODEL_KEY)
kind = OpenAIChatCompletionsModel if API == "chat" else OpenAIResponsesModel
agent = Agent(
    name="Assistant",
    instructions="You are a helpful assistant.",
    model=kind("gpt-5.2", client),
    tools=[] if MCP else session.tools(),
)


async def main() -> str:
    if MCP:
        params = {"url": session.mcp.url, "headers": session.mcp.headers, "timeout": 60}
        async with MCPServerStreamableHttp(params, client_session_timeout_seconds=60) as server:
            agent.mcp_servers = [server]
            return (await Runner.run(agent, PROMPT)).final_output
    if not STREAM:
        return (await Runner.run(agent, PROMPT)).final_output
    result = Runner.run_streamed(agent, PROMPT)
    async for _ in result.stream_events():
        pass
    return result.final_output


finish(asyncio.run(main()))
