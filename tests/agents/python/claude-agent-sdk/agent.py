import asyncio

from scripted import MCP, MODEL_KEY, MODEL_URL, PROMPT, finish, start

from claude_agent_sdk import ClaudeAgentOptions, ClaudeSDKClient, ResultMessage
from composio_claude_agent_sdk import ClaudeAgentSDKProvider

composio, session = start(ClaudeAgentSDKProvider())
if MCP:
    server = {"type": "http", "url": session.mcp.url, "headers": session.mcp.headers}
else:
    server = composio.provider.create_mcp_server(session.tools())


async def main() -> str:
    answer = ""
    options = ClaudeAgentOptions(
        system_prompt="You are a helpful assistant",
        model="claude-opus-4-6",
        tools=[],
        allowed_tools=["mcp__composio"],
        mcp_servers={"composio": server},
        env={"ANTHROPIC_BASE_URL": MODEL_URL, "ANTHROPIC_API_KEY": MODEL_KEY},
        stderr=print,
    )
    async with ClaudeSDKClient(options=options) as client:
        await client.query(PROMPT)
        async for message in client.receive_response():
            print(message)
            if isinstance(message, ResultMessage):
                answer = message.result
    return answer


finish(asyncio.run(main()))
