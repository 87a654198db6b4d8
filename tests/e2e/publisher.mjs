// A publisher without any library: the NATS text protocol over a socket.
// node publisher.mjs PORT SESSION
import net from 'node:net';

const [port, session] = process.argv.slice(2);
const body = Buffer.from(JSON.stringify({
  text: '노드에서 보낸 요청입니다. Hello from Node.', sessionId: session, phoneId: 'p1', requestId: 'from-node',
}));
const socket = net.connect(Number(port), '127.0.0.1');
let received = '';
socket.on('data', (data) => {
  received += data;
  if (received.includes('INFO') && !received.includes('PONG')) {
    socket.write('CONNECT {"verbose":false,"lang":"node","version":"1"}\r\nPING\r\n');
  }
  if (received.includes('PONG') && !received.includes('"seq"')) {
    socket.write('SUB _INBOX.node.1 1\r\n');
    socket.write(`PUB tts.request.${session} _INBOX.node.1 ${body.length}\r\n`);
    socket.write(body);
    socket.write('\r\n');
    received = '"PONG"';
  }
  if (received.includes('"seq"')) process.exit(0);
});
setTimeout(() => process.exit(1), 10_000);
