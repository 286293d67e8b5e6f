// What the manager is measured against: a gateway with as little as Node needs for one. The longest
// prefix of ROUTES (`{"/web": "web:3000"}`) says where a request goes, without that prefix.
const http = require('http');

const routes = Object.entries(JSON.parse(process.env.ROUTES)).sort(([a], [b]) => b.length - a.length);
const agent = new http.Agent({ keepAlive: true });

function forward(request, response) {
  const route = routes.find(([prefix]) => request.url === prefix || request.url.startsWith(`${prefix}/`));
  if (!route) {
    response.writeHead(404).end();
    return;
  }
  const [prefix, service] = route;
  const [host, port] = service.split(':');
  const path = request.url.slice(prefix.length) || '/';
  const headers = { ...request.headers, 'x-forwarded-for': request.socket.remoteAddress };
  const asked = http.request({ agent, host, port, path, method: request.method, headers }, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    answer.pipe(response);
  });
  asked.on('error', (error) => {
    if (response.headersSent) response.destroy();
    else response.writeHead(502).end(error.message);
  });
  request.pipe(asked);
}

function status(response) {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ routes: Object.fromEntries(routes), uptime: process.uptime() }));
}

const server = http.createServer((request, response) => {
  if (request.url === '/_admin/status') status(response);
  else forward(request, response);
});
server.listen(3000);
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => process.exit());
