"""A graph made by hand: a model, a node of tools, and the edge between them."""

from scripted import MODEL_KEY, OPENAI_URL, PROMPT, STREAM, finish, start

from composio_langgraph import LanggraphProvider
from langchain_openai import ChatOpenAI
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition

_, session = start(LanggraphProvider())
tools = session.tools()
llm = ChatOpenAI(model="gpt-5.2", base_url=OPENAI_URL, api_key=MODEL_KEY, streaming=STREAM).bind_tools(tools)
graph = StateGraph(MessagesState)
graph.add_node("model", lambda state: {"messages": [llm.invoke(state["messages"])]})
graph.add_node("tools", ToolNode(tools))
graph.add_edge(START, "model")
graph.add_conditional_edges("model", tools_condition)
graph.add_edge("tools", "model")
agent = graph.compile()
for state in agent.stream({"messages": [("user", PROMPT)]}, stream_mode="values"):
    last = state["messages"][-1]
finish(last.content)
