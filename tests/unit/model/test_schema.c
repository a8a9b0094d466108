// The published schemas against the table of fields that the decoder goes by.
#include "test.h"

#include <jansson.h>

#include "base/time.h"
#include "model/fields.h"

static json_t *load(const char *name)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", MODEL_SCHEMAS, name);
    json_error_t err;
    json_t *schema = json_load_file(path, JSON_REJECT_DUPLICATES, &err);
    if (schema == NULL) {
        fail_at(path, err.line, "%s\n", err.text);
    }
    return schema;
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static bool has_type(const json_t *property, const char *type)
{
    const json_t *types = json_object_get(property, "type");
    if (json_is_string(types)) {
        return strcmp(json_string_value(types), type) == 0;
    }
    for (size_t i = 0; i < json_array_size(types); i++) {
        if (strcmp(json_string_value(json_array_get(types, i)), type) == 0) {
            return true;
        }
    }
    return false;
}

static const char *json_type_of(const struct field *f)
{
    switch (f->type) {
    case FIELD_TEXT:
        return "string";
    case FIELD_GPUS:
        return "array";
    case FIELD_TIME:
    case FIELD_DECIMAL:
    case FIELD_REAL:
        return "number";
    case FIELD_COUNT:
    case FIELD_GPU:
    case FIELD_INSTANCE:
        break;
    }
    return "integer";
}

static void check_bounds(const struct field *f, const json_t *property)
{
    double scale = f->type == FIELD_DECIMAL ? pow(10, f->scale) : 1;
    double most = f->type == FIELD_REAL ? f->most.d : (double)f->most.i / scale;
    const json_t *maximum = json_object_get(property, "maximum");
    assert_i64(json_integer_value(json_object_get(property, "minimum")), 0);
    assert_near(json_number_value(maximum), most, 0); // DBL_MAX: any finite one
}

static void check_text(const struct field *f, const json_t *property)
{
    assert_i64(json_integer_value(json_object_get(property, "maxLength")), RECORD_TEXT_MAX);
    assert_i64(json_integer_value(json_object_get(property, "minLength")), f->filled);
}

static void check_gpus(const struct field *f, const json_t *property)
{
    assert_i64(json_integer_value(json_object_get(property, "minItems")), 1);
    assert_i64(json_integer_value(json_object_get(property, "maxItems")), RECORD_GPUS_MAX);
    assert_true(json_is_true(json_object_get(property, "uniqueItems")));
    check_bounds(f, json_object_get(property, "items"));
}

static void check_time(const json_t *property)
{
    assert_true(has_type(property, "string"));
    assert_non_null(text_of(property, "pattern"));
    assert_i64(json_integer_value(json_object_get(property, "exclusiveMaximum")),
               TIME_MAX / NS_PER_S);
}

static void check_property(const struct field *f, enum record_kind kind, const json_t *property)
{
    bool required = f->required & FIELD_OF(kind);
    assert_str(str_of(text_of(property, "description")), f->help);
    assert_str(str_of(text_of(property, "unit")), f->unit);
    assert_true(has_type(property, json_type_of(f)));
    assert_int_equal(has_type(property, "null"), !required);
    if (f->type == FIELD_TEXT) {
        check_text(f, property);
    } else if (f->type == FIELD_GPUS) {
        check_gpus(f, property);
    } else if (f->type == FIELD_TIME) {
        check_time(property);
    } else {
        check_bounds(f, property);
    }
}

static bool listed(const json_t *list, const char *name)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (strcmp(json_string_value(json_array_get(list, i)), name) == 0) {
            return true;
        }
    }
    return false;
}

// The same properties in the same order, and the same ones required.
static void check_schema(const char *name, enum record_kind kind)
{
    json_t *schema = load(name);
    json_t *properties = json_object_get(schema, "properties");
    const json_t *required = json_object_get(schema, "required");
    size_t count = 0, required_count = 0;
    void *at = json_object_iter(properties);
    for (size_t i = 0; i < n_record_fields; i++) {
        const struct field *f = &record_fields[i];
        if (field_of(f, kind)) {
            assert_non_null(at);
            assert_string_equal(json_object_iter_key(at), f->name);
            check_property(f, kind, json_object_iter_value(at));
            bool is_required = f->required & FIELD_OF(kind);
            assert_int_equal(listed(required, f->name), is_required);
            required_count += is_required;
            count++;
            at = json_object_iter_next(properties, at);
        }
    }
    assert_i64((int64_t)json_object_size(properties), (int64_t)count);
    assert_i64((int64_t)json_array_size(required), (int64_t)required_count);
    json_decref(schema);
}

static void test_sample(void **state)
{
    (void)state;
    check_schema("gpu.metrics.v1.json", RECORD_SAMPLE);
}

static void test_usage(void **state)
{
    (void)state;
    check_schema("token.usage.v1.json", RECORD_USAGE);
}

// What tells the other kind is named in a schema only to be ruled out: all of it.
static void check_ruled_out(const char *name, enum record_kind kind)
{
    json_t *schema = load(name);
    json_t *rules = json_object_get(schema, "allOf");
    json_t *last = json_array_get(rules, json_array_size(rules) - 1);
    const json_t *ruled_out = json_object_get(last, "properties");
    size_t count = 0;
    for (size_t i = 0; i < n_record_fields; i++) {
        const struct field *f = &record_fields[i];
        if (f->tells && !field_of(f, kind)) {
            assert_str(str_of(text_of(json_object_get(ruled_out, f->name), "type")), "null");
            count++;
        }
    }
    assert_i64((int64_t)json_object_size(ruled_out), (int64_t)count);
    json_decref(schema);
}

static void test_the_other_kind(void **state)
{
    (void)state;
    check_ruled_out("gpu.metrics.v1.json", RECORD_SAMPLE);
    check_ruled_out("token.usage.v1.json", RECORD_USAGE);
}

int main(void)
{
    return TEST_RUN(TEST(test_sample), TEST(test_usage), TEST(test_the_other_kind));
}
