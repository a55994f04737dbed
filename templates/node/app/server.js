const http = require("node:http");

const server = http.createServer((request, response) => {
  response.end(`Hello, ${request.url}\n`);
});
server.listen(8080);

// Node is the first process of the container, for which signals do nothing by themselves.
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.on(signal, () => server.close(() => process.exit(0)));
}
