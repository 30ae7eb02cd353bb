import asyncio

from scripted import MODEL_KEY, OPENAI_URL, PROMPT, finish, start

from composio_llamaindex import LlamaIndexProvider
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.llms.openai import OpenAI

_, session = start(LlamaIndexProvider())
llm = OpenAI(model="gpt-4.1", api_base=OPENAI_URL, api_key=MODEL_KEY)
agent = FunctionAgent(tools=session.tools(), llm=llm)


async def main():
    return await agent.run(user_msg=PROMPT)


finish(asyncio.run(main()))
