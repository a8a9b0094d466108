// What each kind of inference server calls its counters. A new kind is an entry of SERVER_TABLE:
// its inputs, options and documentation follow from it.
//
// Names, labels and meanings are those of real pages and of the servers' sources:
//   vLLM          vllm/v1/metrics/loggers.py; v0: vllm/engine/metrics.py
//   SGLang        python/sglang/srt/observability/metrics_collector.py; production_metrics.md
//   TGI           docs/source/reference/metrics.md: tokens are the sums of two histograms
//   NIM           vLLM's names without the prefix (docs.nvidia.com/nim, a captured page)
//   llama.cpp     tools/server/README.md, GET /metrics
//   TensorRT-LLM  trtllm-serve's /prometheus/metrics. Token totals only in newer builds, names
//                 seen in others' test pages: not verified in its source
//   LiteLLM       docs/proxy/prometheus.md; older versions without `_metric`
#pragma once

#include <stdbool.h>

#include "base/str.h"

enum server_count {
    COUNT_PROMPT,     // tokens read, cached ones among them
    COUNT_COMPLETION, // tokens written
    COUNT_CACHED,     // of the prompt's, those taken from a cache
    COUNT_REQUESTS,   // requests that ended
    COUNT_RUNNING,    // requests that run now: a gauge
};

enum { SERVER_COUNTS = COUNT_RUNNING + 1, SERVER_NAMES_MAX = 4, SERVER_LABELS_MAX = 3 };

// A metric; of its samples only those with label="value", where a label is named.
struct server_metric {
    const char *name, *label, *value;
    bool rest; // it counts the prompt tokens that were computed: what is not in it was cached
};

struct server {
    const char *title;
    const char *path; // of the page, where the address has none
    // Names in the order of preference, ending with a NULL name: the first that a page has counts.
    struct server_metric counts[SERVER_COUNTS][SERVER_NAMES_MAX + 1];
    // Labels in the order of preference: the first with a value other than "" and "None" counts.
    const char *model[SERVER_LABELS_MAX + 1];
    const char *tenant[SERVER_LABELS_MAX + 1];
    bool asks_model;  // its page names no model: model= must
    bool query_model; // it is told as ?model=, too
};

// X(id, members of struct server): id is the scheme before "+http".
#define SERVER_TABLE(X)                                                                            \
    X(vllm, .title = "vLLM", .path = "/metrics", .model = {"model_name"},                          \
      .counts = {[COUNT_PROMPT] = {{.name = "vllm:prompt_tokens_total"}},                          \
                 [COUNT_COMPLETION] = {{.name = "vllm:generation_tokens_total"}},                  \
                 [COUNT_CACHED] = {{.name = "vllm:prompt_tokens_by_source_total",                  \
                                    .label = "source",                                             \
                                    .value = "local_compute",                                      \
                                    .rest = true},                                                 \
                                   {.name = "vllm:prompt_tokens_cached_total"},                    \
                                   {.name = "vllm:prefix_cache_hits_total"},                       \
                                   {.name = "vllm:gpu_prefix_cache_hits_total"}},                  \
                 [COUNT_REQUESTS] = {{.name = "vllm:request_success_total"}},                      \
                 [COUNT_RUNNING] = {{.name = "vllm:num_requests_running"}}})                       \
    X(sglang, .title = "SGLang", .path = "/metrics", .model = {"model_name"},                      \
      .counts = {[COUNT_PROMPT] = {{.name = "sglang:prompt_tokens_total"}},                        \
                 [COUNT_COMPLETION] = {{.name = "sglang:generation_tokens_total"}},                \
                 [COUNT_CACHED] = {{.name = "sglang:cached_tokens_total"}},                        \
                 [COUNT_REQUESTS] = {{.name = "sglang:num_requests_total"}},                       \
                 [COUNT_RUNNING] = {{.name = "sglang:num_running_reqs"}}})                         \
    X(tgi, .title = "TGI", .path = "/metrics", .asks_model = true,                                 \
      .counts = {[COUNT_PROMPT] = {{.name = "tgi_request_input_length_sum"}},                      \
                 [COUNT_COMPLETION] = {{.name = "tgi_request_generated_tokens_sum"}},              \
                 [COUNT_REQUESTS] = {{.name = "tgi_request_success"},                              \
                                     {.name = "tgi_request_input_length_count"}},                  \
                 [COUNT_RUNNING] = {{.name = "tgi_batch_current_size"}}})                          \
    X(nim, .title = "NIM", .path = "/metrics", .model = {"model_name"},                            \
      .counts = {[COUNT_PROMPT] = {{.name = "prompt_tokens_total"}},                               \
                 [COUNT_COMPLETION] = {{.name = "generation_tokens_total"}},                       \
                 [COUNT_REQUESTS] = {{.name = "request_finish_total"},                             \
                                     {.name = "request_success_total"}},                           \
                 [COUNT_RUNNING] = {{.name = "num_requests_running"}}})                            \
    X(llamacpp, .title = "llama.cpp", .path = "/metrics", .asks_model = true, .query_model = true, \
      .counts = {[COUNT_PROMPT] = {{.name = "llamacpp:prompt_tokens_total"}},                      \
                 [COUNT_COMPLETION] = {{.name = "llamacpp:tokens_predicted_total"}},               \
                 [COUNT_RUNNING] = {{.name = "llamacpp:requests_processing"}}})                    \
    X(trtllm, .title = "TensorRT-LLM", .path = "/prometheus/metrics", .model = {"model_name"},     \
      .counts = {[COUNT_PROMPT] = {{.name = "trtllm_prompt_tokens_total"}},                        \
                 [COUNT_COMPLETION] = {{.name = "trtllm_generation_tokens_total"}},                \
                 [COUNT_REQUESTS] = {{.name = "trtllm_request_success_total"}}})                   \
    X(litellm, .title = "LiteLLM", .path = "/metrics/", .model = {"model", "requested_model"},     \
      .tenant = {"team_alias", "team", "user"},                                                    \
      .counts = {[COUNT_PROMPT] = {{.name = "litellm_input_tokens_metric_total"},                  \
                                   {.name = "litellm_input_tokens_total"}},                        \
                 [COUNT_COMPLETION] = {{.name = "litellm_output_tokens_metric_total"},             \
                                       {.name = "litellm_output_tokens_total"}},                   \
                 [COUNT_CACHED] = {{.name = "litellm_input_cached_tokens_metric_total"}},          \
                 [COUNT_REQUESTS] = {{.name = "litellm_requests_metric_total"}}})

#define SERVER_DECLARE(id, ...) extern const struct server server_##id;
SERVER_TABLE(SERVER_DECLARE)

// For the table in input.c: the two inputs of each kind.
#define SERVER_INPUTS(id, ...) &input_##id##_http, &input_##id##_https,
#define SERVER_EXTERN(id, ...)                                                                     \
    extern const struct input_driver input_##id##_http, input_##id##_https;
