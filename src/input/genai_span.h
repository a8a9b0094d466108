// What a span says about one call of a model, as a usage record. Names old and new: OpenTelemetry's
// GenAI conventions (open-telemetry/semantic-conventions-genai, docs/registry/attributes/gen-ai.md,
// and semantic-conventions before they were split off: gen_ai.usage.prompt_tokens and
// .completion_tokens), vLLM's spans (vllm-project/vllm, vllm/tracing and
// vllm/v1/engine/output_processor.py), LiteLLM's (litellm/integrations/opentelemetry.py),
// OpenLLMetry's llm.* and OpenInference's llm.token_count.*. docs/inputs/otlp.md has the list.
//
// Pure. Input tokens include cached ones and output tokens include reasoning, in all of them: the
// parts are never added to the whole.
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "input/otel_span.h"
#include "model/record.h"

struct genai_options {
    struct str tenant_attribute; // absent: the usual ones
    struct str model;            // of spans that name none (vLLM's do not); absent: refused
    enum otel_kind only; // OTEL_KIND_SERVER or _CLIENT (with INTERNAL): the others are passed
                         // over; UNSPECIFIED: all are taken
};

// Whether the span is a call of a model that says how many tokens it took: of the right kind, not
// an agent, a tool, a retrieval or anything else around calls, with a token count, not failed
// before there were any tokens, and not answered from LiteLLM's cache. All other spans are passed
// over.
bool genai_span_counts(const struct otel_span *span, const struct genai_options *o);

enum { GENAI_ID_BYTES = 2 * (OTEL_TRACE_ID_BYTES + OTEL_SPAN_ID_BYTES) + 1 };

// The record of a span that counts, in the arena. -EINVAL with "field: what is wrong". The id is
// the trace's and the span's, so that a span sent again is a duplicate. Not yet placed, and not
// checked against the clock.
int genai_span_record(const struct otel_span *span, const struct genai_options *o, struct arena *a,
                      struct record *ret, struct error *err) GTAP_CHECK;
