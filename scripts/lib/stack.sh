# The server under test with its providers.

stack_stop() { :; }
