"""Run by test_otlp.py under an interpreter that has the OpenTelemetry SDK: sends the spans that it
reads as JSON from standard input, and prints what the exporter made of them.

    otlp_sdk.py URL < spans.json
"""

import json
import sys

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult


class Gather(SpanExporter):
    """Keeps what ends, so that it can be sent in one request, and sent again."""

    def __init__(self):
        self.spans = []

    def export(self, spans):
        self.spans += spans
        return SpanExportResult.SUCCESS

    def shutdown(self):
        pass


def make(tracer, span, context=None):
    made = tracer.start_span(span["name"], context=context, start_time=span["start"],
                             kind=trace.SpanKind[span["kind"]], attributes=span["attributes"])
    for event in span.get("events", ()):
        made.add_event(event["name"], timestamp=event["time"])
    for inner in span.get("within", ()):
        make(tracer, inner, trace.set_span_in_context(made))
    made.end(end_time=span["end"])


def main():
    url = sys.argv[1]
    work = json.load(sys.stdin)
    gathered = Gather()
    provider = TracerProvider(resource=Resource.create(work["resource"]))
    provider.add_span_processor(SimpleSpanProcessor(gathered))
    tracer = provider.get_tracer("test")
    for span in work["spans"]:
        make(tracer, span)
    compression = Compression[work.get("compression", "NoCompression")]
    exporter = OTLPSpanExporter(endpoint=url, compression=compression)
    for _ in range(work.get("times", 1)):
        print(exporter.export(gathered.spans).name)
    exporter.shutdown()


if __name__ == "__main__":
    main()
