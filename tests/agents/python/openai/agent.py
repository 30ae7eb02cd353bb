"""The default provider: the loop is the application's own."""

import json

from scripted import API, FOR_USER, MODEL_KEY, OPENAI_URL, PROMPT, STRICT, USER, finish, start

from composio_openai import OpenAIResponsesProvider
from openai import OpenAI

client = OpenAI(base_url=OPENAI_URL, api_key=MODEL_KEY)


def chat() -> str:
    composio, session = start()
    tools = session.tools()
    messages = [{"role": "user", "content": PROMPT}]
    while True:
        response = client.chat.completions.create(model="gpt-5.2", tools=tools, messages=messages)
        message = response.choices[0].message
        if not message.tool_calls:
            return message.content
        whose = {"user_id": USER} if FOR_USER else {"session": session}
        results = composio.provider.handle_tool_calls(response=response, **whose)
        messages.append(message)
        for call, result in zip(message.tool_calls, results, strict=True):
            messages.append({"role": "tool", "tool_call_id": call.id, "content": json.dumps(result)})


def responses() -> str:
    composio, session = start(OpenAIResponsesProvider(strict=STRICT))
    tools = session.tools()
    response = client.responses.create(model="gpt-5.2", tools=tools, input=[{"role": "user", "content": PROMPT}])
    while True:
        calls = [item for item in response.output if item.type == "function_call"]
        if not calls:
            return response.output_text
        results = composio.provider.handle_tool_calls(session=session, response=response)
        response = client.responses.create(
            model="gpt-5.2",
            tools=tools,
            previous_response_id=response.id,
            input=[
                {"type": "function_call_output", "call_id": call.call_id, "output": json.dumps(result)}
                for call, result in zip(calls, results, strict=True)
            ],
        )


finish(chat() if API == "chat" else responses())
