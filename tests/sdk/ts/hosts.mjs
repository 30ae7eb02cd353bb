// Loaded before everything else (node --import): every host that the process looks up or connects to
// is loopback, or it is recorded and refused. The tests assert that the record stays empty.
import dns from 'node:dns';
import net from 'node:net';
import { syncBuiltinESMExports } from 'node:module';

export const foreign = [];

function isLoopback(host) {
  return !host || host === 'localhost' || host === '::1' || /^127(\.\d+){3}$/.test(host);
}
function check(host) {
  if (isLoopback(host)) return;
  foreign.push(host);
  throw new Error(`the tests may not contact ${host}`);
}

// TLS and fetch come through here too: all of Node's stream sockets connect with this method.
const { connect } = net.Socket.prototype;
net.Socket.prototype.connect = function guarded(...args) {
  const [first, second] = Array.isArray(args[0]) ? args[0] : args;
  if (typeof first === 'object' && first !== null) {
    if (!first.path) check(first.host);
  } else if (typeof second === 'string') check(second);
  return connect.apply(this, args);
};
for (const module of [dns, dns.promises]) {
  const { lookup } = module;
  module.lookup = function guarded(host, ...rest) {
    check(host);
    return lookup.call(this, host, ...rest);
  };
}
syncBuiltinESMExports();
