// The document that describes the API has every route, every parameter and a schema of each answer.
// Both have one; jansson's is not used here.
#define json_null jansson_null
#include <jansson.h>
#undef json_null

#include "api/api_impl.h"
#include "test.h"

static json_t *load(void)
{
    struct buf b;
    json_error_t error;
    buf_init(&b, API_ANSWER_MAX);
    openapi_write(&b, "9.8");
    assert_true(buf_ok(&b));
    json_t *doc = json_loadb(b.p, b.n, JSON_REJECT_DUPLICATES, &error);
    if (!doc) {
        fail_msg("%s at %d: %.60s", error.text, error.position, b.p + error.position - 30);
    }
    buf_done(&b);
    return doc;
}

static json_t *operation(json_t *doc, const struct api_route *r)
{
    const char *path = r->open_path ? r->open_path : r->path;
    json_t *item = json_object_get(json_object_get(doc, "paths"), path);
    return json_object_get(item, strcmp(r->method, "POST") == 0 ? "post" : "get");
}

static bool has_param(json_t *op, const char *name)
{
    size_t i;
    json_t *p;
    json_array_foreach(json_object_get(op, "parameters"), i, p)
    {
        if (strcmp(json_string_value(json_object_get(p, "name")), name) == 0) {
            return true;
        }
    }
    return false;
}

static void test_every_route(void **state)
{
    (void)state;
    json_t *doc = load();
    assert_string_equal(json_string_value(json_object_get(doc, "openapi")), "3.1.0");
    for (size_t i = 0; i < n_api_routes; i++) {
        const struct api_route *r = api_routes[i];
        json_t *op = operation(doc, r);
        if (!op || !r->schema || !r->summary || !r->name) {
            fail_msg("%s %s is not described", r->method, r->path);
        }
        for (const struct param *p = r->params; p && p->name; p++) {
            if (!has_param(op, p->name) || !p->help) {
                fail_msg("%s of %s is not described", p->name, r->path);
            }
        }
        json_t *good = json_object_get(json_object_get(op, "responses"), "200");
        assert_non_null(json_object_get(good, "content"));
    }
    json_decref(doc);
}

// Whatever a schema refers to is there.
static void check_refs(json_t *doc, json_t *v)
{
    const char *key;
    json_t *part;
    size_t i;
    json_object_foreach(v, key, part)
    {
        if (strcmp(key, "$ref") == 0) {
            const char *name = strrchr(json_string_value(part), '/') + 1;
            json_t *schemas = json_object_get(json_object_get(doc, "components"), "schemas");
            if (!json_object_get(schemas, name)) {
                fail_msg("there is no schema %s", name);
            }
        }
        check_refs(doc, part);
    }
    json_array_foreach(v, i, part)
    {
        check_refs(doc, part);
    }
}

static void test_refs(void **state)
{
    (void)state;
    json_t *doc = load();
    check_refs(doc, doc);
    json_decref(doc);
}

int main(void)
{
    return TEST_RUN(TEST(test_every_route), TEST(test_refs));
}
