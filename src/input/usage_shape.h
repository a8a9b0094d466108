// JSON that is no token.usage.v1 record, but says what one says: rewritten as one. Tried on what
// decoder_record() has refused; what comes out goes through that decoder, so numbers are copied as
// they are written, and every check is made there. docs/inputs/http.md has the mappings.
//
// Shapes and where they are from:
//   - a record with an OpenAI-style `usage` object instead of token fields;
//   - an OpenAI response: https://platform.openai.com/docs/api-reference, the objects
//     chat.completion, chat.completion.chunk, text_completion and response, as vLLM, SGLang, TGI
//     and llama.cpp answer too;
//   - LiteLLM's StandardLoggingPayload as its generic_api callback posts it:
//     https://docs.litellm.ai/docs/proxy/logging_spec, and a capture of release 1.108.7.
//
// Pure. Prompts and answers that stand in such objects are not copied.
#pragma once

#include "base/buf.h"

enum shape_verdict {
    SHAPE_UNKNOWN,   // none of these: the decoder's refusal stands
    SHAPE_PASS_OVER, // a call that took no GPU: answered from LiteLLM's cache, or never begun
    SHAPE_IS_RECORD, // *out has the rewritten text
};

struct shape {
    enum shape_verdict verdict;
    const char *name; // "an OpenAI response", for messages; NULL: unknown
};

// model: of requests that name none; may be absent. Appends to *out, which is empty.
struct shape usage_shape(struct str text, struct str model, struct buf *out);
