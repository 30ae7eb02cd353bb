import json

from scripted import FOR_USER, MODEL_KEY, MODEL_URL, PROMPT, STREAM, USER, finish, start

import anthropic
from composio_anthropic import AnthropicProvider

composio, session = start(AnthropicProvider())
tools = session.tools()
client = anthropic.Anthropic(base_url=MODEL_URL, api_key=MODEL_KEY)
messages = [{"role": "user", "content": PROMPT}]


def ask():
    request = {"model": "claude-opus-4-6", "max_tokens": 4096, "tools": tools, "messages": messages}
    if not STREAM:
        return client.messages.create(**request)
    with client.messages.stream(**request) as stream:
        return stream.get_final_message()


while (response := ask()).stop_reason == "tool_use":
    calls = [block for block in response.content if block.type == "tool_use"]
    whose = {"user_id": USER} if FOR_USER else {"session": session}
    results = composio.provider.handle_tool_calls(response=response, **whose)
    messages.append({"role": "assistant", "content": response.content})
    messages.append(
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": call.id, "content": json.dumps(result)}
                for call, result in zip(calls, results, strict=True)
            ],
        }
    )

finish("".join(block.text for block in response.content if block.type == "text"))
