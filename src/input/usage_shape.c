#include "input/usage_shape.h"

#include "base/decimal.h"
#include "input/json_scan.h"
#include "model/fields.h"

enum { SECONDS_SCALE = 9, MS_SCALE = 6 }; // decimals that make nanoseconds of them

// The members that are looked for, and the objects that they stand in.
enum place {
    ROOT,
    OBJECT,
    ID,
    CREATED,
    CREATED_AT,
    COMPLETED_AT,
    USER,
    USAGE,
    PROMPT,
    COMPLETION,
    INPUT,
    OUTPUT,
    CACHE_READ,
    CACHE_WRITE,
    PROMPT_DETAILS,
    PROMPT_CACHED,
    INPUT_DETAILS,
    INPUT_CACHED,
    START_TIME,
    END_TIME,
    FIRST_TIME,
    CALL_TYPE,
    CALL_ID,
    STREAM,
    CACHE_HIT,
    PROVIDER,
    END_USER,
    METADATA,
    TEAM_ALIAS,
    TEAM_ID,
    USER_ID,
    KEY_ALIAS,
    LOGGED_USAGE,
    LOGGED_CACHE_READ,
    LOGGED_DETAILS,
    LOGGED_CACHED,
    PLACES,
};

static const struct {
    enum place parent;
    const char *name;
} places[PLACES] = {
    [OBJECT] = {ROOT, "object"},
    [ID] = {ROOT, "id"},
    [CREATED] = {ROOT, "created"},
    [CREATED_AT] = {ROOT, "created_at"},
    [COMPLETED_AT] = {ROOT, "completed_at"},
    [USER] = {ROOT, "user"},
    [USAGE] = {ROOT, "usage"},
    [PROMPT] = {USAGE, "prompt_tokens"},
    [COMPLETION] = {USAGE, "completion_tokens"},
    [INPUT] = {USAGE, "input_tokens"},
    [OUTPUT] = {USAGE, "output_tokens"},
    [CACHE_READ] = {USAGE, "cache_read_input_tokens"},
    [CACHE_WRITE] = {USAGE, "cache_creation_input_tokens"},
    [PROMPT_DETAILS] = {USAGE, "prompt_tokens_details"},
    [PROMPT_CACHED] = {PROMPT_DETAILS, "cached_tokens"},
    [INPUT_DETAILS] = {USAGE, "input_tokens_details"},
    [INPUT_CACHED] = {INPUT_DETAILS, "cached_tokens"},
    [START_TIME] = {ROOT, "startTime"},
    [END_TIME] = {ROOT, "endTime"},
    [FIRST_TIME] = {ROOT, "completionStartTime"},
    [CALL_TYPE] = {ROOT, "call_type"},
    [CALL_ID] = {ROOT, "litellm_call_id"},
    [STREAM] = {ROOT, "stream"},
    [CACHE_HIT] = {ROOT, "cache_hit"},
    [PROVIDER] = {ROOT, "custom_llm_provider"},
    [END_USER] = {ROOT, "end_user"},
    [METADATA] = {ROOT, "metadata"},
    [TEAM_ALIAS] = {METADATA, "user_api_key_team_alias"},
    [TEAM_ID] = {METADATA, "user_api_key_team_id"},
    [USER_ID] = {METADATA, "user_api_key_user_id"},
    [KEY_ALIAS] = {METADATA, "user_api_key_alias"},
    [LOGGED_USAGE] = {METADATA, "usage_object"},
    [LOGGED_CACHE_READ] = {LOGGED_USAGE, "cache_read_input_tokens"},
    [LOGGED_DETAILS] = {LOGGED_USAGE, "prompt_tokens_details"},
    [LOGGED_CACHED] = {LOGGED_DETAILS, "cached_tokens"},
};

// JSON tokens as they were found; absent: not there, null or "".
struct found {
    struct str at[PLACES];
    struct str wire[FIELDS_MAX]; // members at the top that are fields of a usage record
};

static bool is_object(struct str token)
{
    return token.n > 0 && token.p[0] == '{';
}

static bool is_text(struct str token)
{
    return token.n > 0 && token.p[0] == '"';
}

static bool says_nothing(struct str token)
{
    return str_eq(token, STR("null")) || str_eq(token, STR("\"\""));
}

static void note_wire(struct str key, struct str value, struct found *f)
{
    for (size_t i = 0; i < n_record_fields; i++) {
        if (field_of(&record_fields[i], RECORD_USAGE) &&
            str_eq(key, str_of(record_fields[i].name))) {
            f->wire[i] = value;
        }
    }
}

// False: broken.
static bool look(struct str text, enum place parent, struct found *f)
{
    struct json_walk w;
    struct str key, value;
    bool good = json_walk_begin(&w, text, '{');
    while (good && json_walk_member(&w, &key, &value)) {
        if (says_nothing(value)) {
            continue;
        }
        if (parent == ROOT) {
            note_wire(key, value, f);
        }
        for (enum place i = ROOT + 1; i < PLACES; i++) {
            if (places[i].parent == parent && str_eq(key, str_of(places[i].name))) {
                f->at[i] = value;
                good = !is_object(value) || look(value, i, f);
            }
        }
    }
    return good && !w.failed;
}

static struct str wire(const struct found *f, const char *name)
{
    size_t i = 0;
    while (i < n_record_fields && !str_eq(str_of(record_fields[i].name), str_of(name))) {
        i++;
    }
    return i < n_record_fields ? f->wire[i] : STR_NONE;
}

// ---- writing -----------------------------------------------------------------------------------

static void put_name(struct buf *out, const char *field)
{
    buf_printf(out, "%s\"%s\":", out->n > 1 ? "," : "", field);
}

static void put(struct buf *out, const char *field, struct str token)
{
    if (str_present(token)) {
        put_name(out, field);
        buf_str(out, token);
    }
}

static void put_decimal(struct buf *out, const char *field, int64_t value, int scale)
{
    put_name(out, field);
    decimal_format_short(out, value, scale);
}

static struct str either(struct str a, struct str b)
{
    return str_present(a) ? a : b;
}

static bool number(struct str token, int scale, int64_t *ret)
{
    return str_present(token) && decimal_parse(token, scale, ret) == 0;
}

static bool has_usage(const struct found *f)
{
    return is_object(f->at[USAGE]) && (str_present(f->at[PROMPT]) || str_present(f->at[INPUT]));
}

static bool is_count(int64_t n)
{
    return n >= 0 && n <= RECORD_TOKENS_MAX;
}

// input_tokens of Anthropic's usage leave out what was read from the cache or written to it, which
// stands beside them; OpenAI's say the part in input_tokens_details.
static void put_input(const struct found *f, struct buf *out)
{
    int64_t input, read = 0, written = 0;
    bool was_read = number(f->at[CACHE_READ], 0, &read);
    bool was_written = number(f->at[CACHE_WRITE], 0, &written);
    bool apart = (was_read || was_written) && !str_present(f->at[INPUT_CACHED]);
    if (apart && number(f->at[INPUT], 0, &input) && is_count(input) && is_count(read) &&
        is_count(written)) {
        put_decimal(out, "prompt_tokens", input + read + written, 0);
    } else {
        put(out, "prompt_tokens", f->at[INPUT]);
    }
}

static void put_usage(const struct found *f, struct buf *out)
{
    if (str_present(f->at[PROMPT])) {
        put(out, "prompt_tokens", f->at[PROMPT]);
        put(out, "completion_tokens", f->at[COMPLETION]);
    } else {
        put_input(f, out);
        put(out, "completion_tokens", f->at[OUTPUT]);
    }
    if (!str_present(wire(f, "cached_prompt_tokens"))) {
        struct str cached = either(f->at[PROMPT_CACHED], f->at[INPUT_CACHED]);
        put(out, "cached_prompt_tokens", either(cached, f->at[CACHE_READ]));
    }
}

static void put_model(const struct found *f, struct str model, struct buf *out)
{
    if (!str_present(wire(f, "model")) && str_present(model)) {
        put_name(out, "model");
        buf_json_str(out, model);
    }
}

// ---- a record of ours --------------------------------------------------------------------------

static bool is_record(const struct found *f, struct str model)
{
    bool counted = str_present(wire(f, "prompt_tokens"));
    bool nameless = !str_present(wire(f, "model")) && str_present(model);
    return counted ? nameless : has_usage(f);
}

// All of it but what says nothing, which would stand beside what is added.
static void put_members(struct str text, struct buf *out)
{
    struct json_walk w;
    struct str key, value;
    (void)json_walk_begin(&w, text, '{');
    while (json_walk_member(&w, &key, &value)) {
        if (!says_nothing(value)) {
            buf_cstr(out, out->n > 1 ? ",\"" : "\"");
            buf_str(out, key);
            buf_cstr(out, "\":");
            buf_str(out, value);
        }
    }
}

static enum shape_verdict write_record(const struct found *f, struct str text, struct str model,
                                       struct buf *out)
{
    buf_char(out, '{');
    put_members(text, out);
    if (!str_present(wire(f, "prompt_tokens"))) {
        put_usage(f, out);
    }
    put_model(f, model, out);
    return SHAPE_IS_RECORD;
}

// ---- an OpenAI response ------------------------------------------------------------------------

static bool is_response(const struct found *f, struct str model)
{
    static const char *const objects[] = {"\"chat.completion\"", "\"chat.completion.chunk\"",
                                          "\"text_completion\"", "\"response\""};
    (void)model;
    for (size_t i = 0; i < ARRAY_LEN(objects); i++) {
        if (str_eq(f->at[OBJECT], str_of(objects[i]))) {
            return has_usage(f);
        }
    }
    return false;
}

// When it ended: as the record says, as the response says, or so long after its beginning.
static void put_response_times(const struct found *f, struct buf *out)
{
    int64_t begin, end, latency;
    struct str created = either(f->at[CREATED], f->at[CREATED_AT]);
    bool began = number(created, SECONDS_SCALE, &begin);
    bool ended = number(f->at[COMPLETED_AT], SECONDS_SCALE, &end);
    bool lasted = number(wire(f, "latency_ms"), MS_SCALE, &latency);
    if (!str_present(wire(f, "latency_ms")) && began && ended && end >= begin) {
        put_decimal(out, "latency_ms", end - begin, MS_SCALE);
    }
    if (str_present(wire(f, "ts"))) {
        return;
    }
    if (ended) {
        put(out, "ts", f->at[COMPLETED_AT]);
    } else if (began && lasted && !__builtin_add_overflow(begin, latency, &end)) {
        put_decimal(out, "ts", end, SECONDS_SCALE);
    } else { // so that what is said to be missing is the duration
        put(out, "ts", created);
    }
}

static enum shape_verdict write_response(const struct found *f, struct str text, struct str model,
                                         struct buf *out)
{
    (void)text;
    buf_char(out, '{');
    for (size_t i = 0; i < n_record_fields; i++) {
        put(out, record_fields[i].name, f->wire[i]);
    }
    if (!str_present(wire(f, "prompt_tokens"))) {
        put_usage(f, out);
    }
    put_response_times(f, out);
    put_model(f, model, out);
    if (!str_present(wire(f, "request_id"))) {
        put(out, "request_id", f->at[ID]);
    }
    if (!str_present(wire(f, "event_id"))) {
        put(out, "event_id", f->at[ID]);
    }
    if (!str_present(wire(f, "tenant")) && is_text(f->at[USER])) {
        put(out, "tenant", f->at[USER]);
    }
    return SHAPE_IS_RECORD;
}

// ---- LiteLLM's log -----------------------------------------------------------------------------

static bool is_litellm(const struct found *f, struct str model)
{
    (void)model;
    return str_present(f->at[START_TIME]) && str_present(f->at[END_TIME]) &&
           is_text(f->at[CALL_TYPE]);
}

static void put_litellm_times(const struct found *f, struct buf *out)
{
    int64_t begin, end, first;
    put(out, "ts", f->at[END_TIME]);
    if (!number(f->at[START_TIME], SECONDS_SCALE, &begin) ||
        !number(f->at[END_TIME], SECONDS_SCALE, &end) || end < begin || begin < 0) {
        return;
    }
    put_decimal(out, "latency_ms", end - begin, MS_SCALE);
    // Of a call that was not streamed, the first token is said to have come with the last.
    if (str_eq(f->at[STREAM], STR("true")) && number(f->at[FIRST_TIME], SECONDS_SCALE, &first) &&
        first >= begin && first < end) {
        put_decimal(out, "ttft_ms", first - begin, MS_SCALE);
    }
}

// "hosted_vllm/llama-3-70b" of the provider "hosted_vllm" is the server's llama-3-70b.
static void put_litellm_model(const struct found *f, struct buf *out)
{
    struct str model = wire(f, "model"), provider = f->at[PROVIDER];
    if (!is_text(model) || !is_text(provider)) {
        put(out, "model", model);
        return;
    }
    struct str prefix = {provider.p, provider.n - 1}; // with its opening quote
    bool named = str_starts(model, prefix) && model.n > prefix.n + 2 && model.p[prefix.n] == '/';
    put_name(out, "model");
    buf_char(out, '"');
    size_t skip = named ? prefix.n + 1 : 1;
    buf_str(out, (struct str){model.p + skip, model.n - skip});
}

static enum shape_verdict write_litellm(const struct found *f, struct str text, struct str model,
                                        struct buf *out)
{
    static const enum place tenants[] = {TEAM_ALIAS, TEAM_ID, END_USER, USER_ID, KEY_ALIAS};
    struct str prompt = wire(f, "prompt_tokens"), completion = wire(f, "completion_tokens");
    struct str zero = STR("0");
    (void)text;
    bool nothing = (!str_present(prompt) || str_eq(prompt, zero)) &&
                   (!str_present(completion) || str_eq(completion, zero));
    if (nothing || str_eq(f->at[CACHE_HIT], STR("true"))) {
        return SHAPE_PASS_OVER;
    }
    buf_char(out, '{');
    put(out, "prompt_tokens", prompt);
    put(out, "completion_tokens", completion);
    put(out, "cached_prompt_tokens", either(f->at[LOGGED_CACHED], f->at[LOGGED_CACHE_READ]));
    put_litellm_times(f, out);
    put_litellm_model(f, out);
    put_model(f, model, out);
    put(out, "request_id", f->at[ID]);
    put(out, "event_id", either(f->at[CALL_ID], f->at[ID]));
    struct str tenant = STR_NONE;
    for (size_t i = 0; i < ARRAY_LEN(tenants); i++) {
        tenant = either(tenant, f->at[tenants[i]]);
    }
    put(out, "tenant", tenant);
    return SHAPE_IS_RECORD;
}

// In the order in which they are tried.
static const struct {
    const char *name;
    bool (*is)(const struct found *f, struct str model);
    enum shape_verdict (*write)(const struct found *f, struct str text, struct str model,
                                struct buf *out);
} shapes[] = {
    {"a log of LiteLLM", is_litellm, write_litellm},
    {"an OpenAI response", is_response, write_response},
    {"a record with usage", is_record, write_record},
};

struct shape usage_shape(struct str text, struct str model, struct buf *out)
{
    struct found f = {0};
    if (!look(text, ROOT, &f)) {
        return (struct shape){SHAPE_UNKNOWN, NULL};
    }
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
        if (shapes[i].is(&f, model)) {
            enum shape_verdict verdict = shapes[i].write(&f, text, model, out);
            if (verdict == SHAPE_IS_RECORD) {
                buf_char(out, '}');
            }
            return (struct shape){verdict, shapes[i].name};
        }
    }
    return (struct shape){SHAPE_UNKNOWN, NULL};
}
