from scripted import MODEL_KEY, OPENAI_URL, PROMPT, finish, start

from autogen import AssistantAgent, UserProxyAgent
from composio_autogen import AutogenProvider

composio, session = start(AutogenProvider())
chatbot = AssistantAgent(
    "chatbot",
    system_message="Reply TERMINATE when the task is done or when user's content is empty",
    llm_config={"config_list": [{"model": "gpt-5.2", "base_url": OPENAI_URL, "api_key": MODEL_KEY}]},
)
user_proxy = UserProxyAgent(
    "user_proxy",
    is_termination_msg=lambda message: "TERMINATE" in (message.get("content", "") or ""),
    human_input_mode="NEVER",
    code_execution_config={"use_docker": False},
)
composio.provider.register_tools(caller=chatbot, executor=user_proxy, tools=session.tools())
response = user_proxy.initiate_chat(chatbot, message=PROMPT)
finish(response.chat_history[-1]["content"])
