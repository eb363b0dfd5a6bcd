"""Times how a checkout of cgn-ec-consumer reads lines: `peer.py CHECKOUT HANDLER ROUNDS < lines`.

Prints ns per line for each round. The messages are made before the clock starts, as the handlers get them from Kafka.
The regular expressions are the handler's own; it compiles them for Python only when it is told them.
"""

import logging
import sys
import time

import structlog

# Its debug lines cost more than its parsing, and are off in production.
structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
sys.path.insert(0, sys.argv[1])
from cgn_ec_consumer import handlers  # noqa: E402

handler_class = getattr(handlers, sys.argv[2])
patterns = getattr(handler_class, "DEFAULT_REGEX_PATTERNS", [])
handler = handler_class(regex_patterns=patterns)
messages = []
for line in sys.stdin.read().splitlines():
    head, mark, body = line.partition("CEF:")
    program, message = ("CEF", body) if mark else ("nat", head)
    messages.append({"message": message, "program": program, "host": "h/p", "ip": "192.0.2.1", "timestamp": "t"})
for _ in range(int(sys.argv[3])):
    begin = time.perf_counter_ns()
    metrics = handler.parse_messages_batch(messages)
    took = time.perf_counter_ns() - begin
    if len(metrics) != len(messages):
        sys.exit(f"{len(metrics)} events of {len(messages)} lines")
    print(took / len(messages))
