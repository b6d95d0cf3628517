"""How to serve predictions from a saved model."""

from dotbias import Ratings, Recommender, baselines

ratings = Ratings.from_csv("ratings.csv").with_item_table("movies.csv")
Recommender(baselines.bias(ratings), ratings).save("my-model")

# --8<-- [start:server]
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from dotbias import DotbiasError, Recommender

model = Recommender.load("my-model")


class Answers(BaseHTTPRequestHandler):
    """GET /15 -> ten items for user 15, as JSON."""

    def do_GET(self):
        """A known id, or 404 with the reason."""
        try:
            status, answer = (
                200,
                [item._asdict() for item in model.recommend(int(self.path[1:]), 10)],
            )
        except (DotbiasError, ValueError) as e:
            status, answer = 404, {"error": str(e)}
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())


def server(port=8000):
    """On this machine alone; ``server().serve_forever()`` begins."""
    return ThreadingHTTPServer(("127.0.0.1", port), Answers)


# --8<-- [end:server]

# Ask it twice, at a port that is free.
import threading
import urllib.error
import urllib.request

Answers.log_message = lambda *_: None
running = server(0)
address = f"http://127.0.0.1:{running.server_port}"
threading.Thread(target=running.serve_forever, daemon=True).start()
http = urllib.request.build_opener(urllib.request.ProxyHandler({}))
with http.open(f"{address}/15", timeout=10) as answer:
    found = json.loads(answer.read())
assert len(found) == 10, found
try:
    http.open(f"{address}/x", timeout=10)
    raise AssertionError("a 404 was expected")
except urllib.error.HTTPError as e:
    assert e.code == 404
    e.close()
finally:
    running.shutdown()
    running.server_close()
