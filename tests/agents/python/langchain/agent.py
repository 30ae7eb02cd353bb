import asyncio

from scripted import MCP, MODEL_KEY, OPENAI_URL, PROMPT, finish, start

from composio_langchain import LangchainProvider
from langchain.agents import create_agent
from langchain_mcp_adapters.client import MultiServerMCPClient
from langchain_openai import ChatOpenAI

_, session = start(LangchainProvider())
llm = ChatOpenAI(model="gpt-5.2", base_url=OPENAI_URL, api_key=MODEL_KEY)


async def main() -> str:
    if not MCP:
        # The provider's tools have no asynchronous form.
        agent = create_agent(tools=session.tools(), model=llm)
        return agent.invoke({"messages": [("user", PROMPT)]})["messages"][-1].content
    server = {"transport": "streamable_http", "url": session.mcp.url, "headers": session.mcp.headers}
    agent = create_agent(tools=await MultiServerMCPClient({"composio": server}).get_tools(), model=llm)
    return (await agent.ainvoke({"messages": [("user", PROMPT)]}))["messages"][-1].content


finish(asyncio.run(main()))
