"""Python functions, which the Gen AI client describes and calls by itself."""

from scripted import MODEL_KEY, MODEL_URL, PROMPT, finish, start

from composio_gemini import GeminiProvider
from google import genai
from google.genai import types

_, session = start(GeminiProvider())
client = genai.Client(api_key=MODEL_KEY, http_options=types.HttpOptions(base_url=MODEL_URL))
chat = client.chats.create(
    model="gemini-3-pro-preview", config=types.GenerateContentConfig(tools=session.tools())
)
finish(chat.send_message(PROMPT).text)
