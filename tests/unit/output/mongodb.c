#include "mongodb.h"

#include "base/alloc.h"
#include "output/mongo/libmongoc.h"
#include "test.h"

char *mongodb_uri(const char *database)
{
    const char *server = getenv("GTAP_TEST_MONGODB_URI");
    assert_non_null(server);
    const char *hosts = strstr(server, "://");
    assert_non_null(hosts);
    size_t n = strcspn(hosts + 3, "/?") + (size_t)(hosts + 3 - server);
    const char *options = strchr(server + n, '?');
    return x_asprintf("%.*s/%s%s", (int)n, server, database, options ? options : "");
}

static mongoc_client_t *connect_to(const char *text, mongoc_uri_t **ret)
{
    mongoc_init();
    *ret = mongoc_uri_new(text);
    assert_non_null(*ret);
    mongoc_client_t *client = mongoc_client_new_from_uri(*ret);
    assert_non_null(client);
    return client;
}

char *mongodb_command(const char *text, const char *json)
{
    mongoc_uri_t *uri;
    bson_error_t error = {0};
    bson_t reply;
    mongoc_client_t *client = connect_to(text, &uri);
    bson_t *command = bson_new_from_json((const uint8_t *)json, -1, &error);
    assert_non_null(command);
    if (!mongoc_client_command_simple(client, mongoc_uri_get_database(uri), command, NULL, &reply,
                                      &error)) {
        fail_at(__FILE__, __LINE__, "%s: %s\n", json, error.message);
    }
    char *text_of_reply = bson_as_relaxed_extended_json(&reply, NULL);
    char *copy = x_strdup(text_of_reply);
    bson_free(text_of_reply);
    bson_destroy(&reply);
    bson_destroy(command);
    mongoc_client_destroy(client);
    mongoc_uri_destroy(uri);
    return copy;
}

void mongodb_drop(const char *uri)
{
    free(mongodb_command(uri, "{\"dropDatabase\": 1}"));
}
