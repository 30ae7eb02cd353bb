"""Function declarations of Vertex AI, sent with the Gen AI client: the loop is the application's."""

from scripted import MODEL_KEY, MODEL_URL, PROMPT, finish, start

from composio_google import GoogleProvider
from google import genai
from google.genai import types

composio, session = start(GoogleProvider())
declarations = [types.FunctionDeclaration.model_validate(one.to_dict()) for one in session.tools()]
client = genai.Client(api_key=MODEL_KEY, http_options=types.HttpOptions(base_url=MODEL_URL))
config = types.GenerateContentConfig(tools=[types.Tool(function_declarations=declarations)])
chat = client.chats.create(model="gemini-3-pro-preview", config=config)
response = chat.send_message(PROMPT)
while response.function_calls:
    response = chat.send_message(
        [
            types.Part.from_function_response(
                name=call.name,
                response=composio.provider.execute_tool_call(session=session, function_call=call),
            )
            for call in response.function_calls
        ]
    )
finish(response.text)
