"""A metrics server for the tests: pages of the test's making, and every way to serve them badly."""

import gzip
import http.server
import ssl
import sys
import threading


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Clients that go away in the middle are what some tests are about."""
        if not isinstance(sys.exc_info()[1], (OSError, ssl.SSLError)):
            super().handle_error(request, client_address)


class Pages:
    """Serves `page` (text, or what makes it) on loopback until it is closed.

    `how` is the way: a method's name below, "well" by default. `token`: asks for this bearer token.
    `served` counts pages that went out whole, `asked` requests.
    """

    def __init__(self, page, how="well", token=None, port=0, certificate=None):
        self.page, self.how, self.token = page, how, token
        self.served = self.asked = 0
        self.closing = threading.Event()
        self.server = Server(("127.0.0.1", port), self.handler())
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.address = f"127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def close(self):
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def text(self):
        return self.page() if callable(self.page) else self.page

    def handler(self):
        pages = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):  # pylint: disable=arguments-differ
                pass

            def do_GET(self):  # pylint: disable=invalid-name
                pages.asked += 1
                if pages.token and self.headers.get("Authorization") != f"Bearer {pages.token}":
                    self.send_error(401)
                    return
                try:
                    getattr(pages, pages.how)(self)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

        return Handler

    @staticmethod
    def head(request, *headers, status=200):
        request.send_response(status)
        for name, value in headers:
            request.send_header(name, value)
        request.end_headers()

    def whole(self, request, body, *headers):
        self.head(request, ("Content-Length", len(body)), *headers)
        request.wfile.write(body)
        self.served += 1

    # ---- ways ----

    def well(self, request):
        self.whole(request, self.text().encode())

    def zipped(self, request):
        if "gzip" not in request.headers.get("Accept-Encoding", ""):
            request.send_error(406)
            return
        self.whole(request, gzip.compress(self.text().encode()), ("Content-Encoding", "gzip"))

    def chunked(self, request):
        self.head(request, ("Transfer-Encoding", "chunked"))
        for line in self.text().splitlines(keepends=True):
            data = line.encode()
            request.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        request.wfile.write(b"0\r\n\r\n")
        self.served += 1

    def half(self, request):
        """Half of what the length says, then the end."""
        body = self.text().encode()
        self.head(request, ("Content-Length", len(body)))
        request.wfile.write(body[:len(body) // 2])
        request.close_connection = True

    def half_chunked(self, request):
        """A chunk, and no end of chunks."""
        data = self.text().encode()[:40]
        self.head(request, ("Transfer-Encoding", "chunked"))
        request.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        request.close_connection = True

    def cut(self, request):
        """Without a length, up to the middle of the last line's number."""
        self.head(request, ("Connection", "close"))
        request.wfile.write(self.text().rstrip("\n").encode()[:-1])
        request.close_connection = True
        self.served += 1

    def open_metrics_cut(self, request):
        self.whole(request, self.text().encode(),
                   ("Content-Type", "application/openmetrics-text; version=1.0.0"))

    def endless(self, request):
        """A line after the other, for ever."""
        self.head(request, ("Connection", "close"))
        while not self.closing.wait(0.01):
            request.wfile.write(b"a_metric 1\n")

    def huge(self, request):
        """More than gtap takes, as fast as it can."""
        self.head(request, ("Connection", "close"))
        block = b"a_metric 1\n" * 10000
        while not self.closing.is_set():
            request.wfile.write(block)

    def silent(self, request):
        """Takes the request and says nothing."""
        del request
        self.closing.wait()

    def broken(self, request):
        request.send_error(503)

    def moved(self, request):
        """To /metrics/ on this server, as LiteLLM does."""
        if request.path == "/metrics/":
            self.well(request)
            return
        self.head(request, ("Location", "/metrics/"), ("Content-Length", 0), status=307)

    def moved_away(self, request):
        """To `away`, another server."""
        self.head(request, ("Location", f"http://{self.away}/metrics"), ("Content-Length", 0),
                  status=302)

    away = None
