// libmongoc and libbson 1.23, loaded when the first store in MongoDB is opened: they bring twenty
// libraries along, 6 MB resident, and most commands need none of it. Internal to src/output/mongo.
//
// The functions are called by their own names, through the table. See base/library.h.
#pragma once

#include "base/library.h"
#include "output/mongo/libmongoc.h"

// clang-format off
#define MONGO_FUNCTIONS(X)                                                                         \
    X(bson_concat) X(bson_copy_to) X(bson_destroy) X(bson_init) X(bson_init_static)                \
    X(bson_iter_as_bool) X(bson_iter_as_double) X(bson_iter_as_int64) X(bson_iter_binary)          \
    X(bson_iter_date_time) X(bson_iter_document) X(bson_iter_find) X(bson_iter_init)               \
    X(bson_iter_init_find) X(bson_iter_key) X(bson_iter_next) X(bson_iter_recurse)                 \
    X(bson_iter_type) X(bson_iter_utf8) X(bson_reinit) X(mongoc_client_command_with_opts)          \
    X(mongoc_client_destroy) X(mongoc_client_get_collection) X(mongoc_client_reset)                \
    X(mongoc_client_new_from_uri_with_error) X(mongoc_client_read_command_with_opts)               \
    X(mongoc_client_session_append) X(mongoc_client_session_destroy)                               \
    X(mongoc_client_set_error_api) X(mongoc_client_set_read_prefs)                                 \
    X(mongoc_client_start_session) X(mongoc_client_write_command_with_opts)                        \
    X(mongoc_collection_destroy) X(mongoc_collection_find_with_opts) X(mongoc_cursor_destroy)      \
    X(mongoc_cursor_error) X(mongoc_cursor_next) X(mongoc_cursor_set_batch_size) X(mongoc_init)    \
    X(mongoc_log_set_handler)                                                                      \
    X(mongoc_read_prefs_destroy) X(mongoc_read_prefs_new) X(mongoc_session_opts_destroy)           \
    X(mongoc_session_opts_new) X(mongoc_session_opts_set_causal_consistency)                       \
    X(mongoc_session_opts_set_snapshot) X(mongoc_uri_destroy) X(mongoc_uri_get_appname)            \
    X(mongoc_uri_get_database) X(mongoc_uri_get_write_concern) X(mongoc_uri_has_option)            \
    X(mongoc_uri_new_with_error) X(mongoc_uri_set_appname) X(mongoc_uri_set_option_as_bool)        \
    X(mongoc_uri_set_option_as_int32) X(mongoc_write_concern_append)                               \
    X(mongoc_write_concern_copy) X(mongoc_write_concern_destroy)                                   \
    X(mongoc_write_concern_is_acknowledged) X(mongoc_write_concern_set_journal)                    \
    X(mongoc_write_concern_set_w) X(mongoc_write_concern_set_wtimeout_int64)
// clang-format on

struct mongo_lib {
    MONGO_FUNCTIONS(LIBRARY_MEMBER)
};
extern struct mongo_lib mongo_lib; // written by mongo_lib_load() alone

// Before any other function of libmongoc or libbson. -EOPNOTSUPP: it is not installed. Thread-safe.
int mongo_lib_load(struct error *err) GTAP_CHECK;

#define bson_concat mongo_lib.bson_concat
#define bson_copy_to mongo_lib.bson_copy_to
#define bson_destroy mongo_lib.bson_destroy
#define bson_init mongo_lib.bson_init
#define bson_init_static mongo_lib.bson_init_static
#define bson_iter_as_bool mongo_lib.bson_iter_as_bool
#define bson_iter_as_double mongo_lib.bson_iter_as_double
#define bson_iter_as_int64 mongo_lib.bson_iter_as_int64
#define bson_iter_binary mongo_lib.bson_iter_binary
#define bson_iter_date_time mongo_lib.bson_iter_date_time
#define bson_iter_document mongo_lib.bson_iter_document
#define bson_iter_find mongo_lib.bson_iter_find
#define bson_iter_init mongo_lib.bson_iter_init
#define bson_iter_init_find mongo_lib.bson_iter_init_find
#define bson_iter_key mongo_lib.bson_iter_key
#define bson_iter_next mongo_lib.bson_iter_next
#define bson_iter_recurse mongo_lib.bson_iter_recurse
#define bson_iter_type mongo_lib.bson_iter_type
#define bson_iter_utf8 mongo_lib.bson_iter_utf8
#define bson_reinit mongo_lib.bson_reinit
#define mongoc_client_command_with_opts mongo_lib.mongoc_client_command_with_opts
#define mongoc_client_destroy mongo_lib.mongoc_client_destroy
#define mongoc_client_get_collection mongo_lib.mongoc_client_get_collection
#define mongoc_client_new_from_uri_with_error mongo_lib.mongoc_client_new_from_uri_with_error
#define mongoc_client_read_command_with_opts mongo_lib.mongoc_client_read_command_with_opts
#define mongoc_client_reset mongo_lib.mongoc_client_reset
#define mongoc_client_session_append mongo_lib.mongoc_client_session_append
#define mongoc_client_session_destroy mongo_lib.mongoc_client_session_destroy
#define mongoc_client_set_error_api mongo_lib.mongoc_client_set_error_api
#define mongoc_client_set_read_prefs mongo_lib.mongoc_client_set_read_prefs
#define mongoc_client_start_session mongo_lib.mongoc_client_start_session
#define mongoc_client_write_command_with_opts mongo_lib.mongoc_client_write_command_with_opts
#define mongoc_collection_destroy mongo_lib.mongoc_collection_destroy
#define mongoc_collection_find_with_opts mongo_lib.mongoc_collection_find_with_opts
#define mongoc_cursor_destroy mongo_lib.mongoc_cursor_destroy
#define mongoc_cursor_error mongo_lib.mongoc_cursor_error
#define mongoc_cursor_next mongo_lib.mongoc_cursor_next
#define mongoc_cursor_set_batch_size mongo_lib.mongoc_cursor_set_batch_size
#define mongoc_init mongo_lib.mongoc_init
#define mongoc_log_set_handler mongo_lib.mongoc_log_set_handler
#define mongoc_read_prefs_destroy mongo_lib.mongoc_read_prefs_destroy
#define mongoc_read_prefs_new mongo_lib.mongoc_read_prefs_new
#define mongoc_session_opts_destroy mongo_lib.mongoc_session_opts_destroy
#define mongoc_session_opts_new mongo_lib.mongoc_session_opts_new
#define mongoc_session_opts_set_causal_consistency                                                 \
    mongo_lib.mongoc_session_opts_set_causal_consistency
#define mongoc_session_opts_set_snapshot mongo_lib.mongoc_session_opts_set_snapshot
#define mongoc_uri_destroy mongo_lib.mongoc_uri_destroy
#define mongoc_uri_get_appname mongo_lib.mongoc_uri_get_appname
#define mongoc_uri_get_database mongo_lib.mongoc_uri_get_database
#define mongoc_uri_get_write_concern mongo_lib.mongoc_uri_get_write_concern
#define mongoc_uri_has_option mongo_lib.mongoc_uri_has_option
#define mongoc_uri_new_with_error mongo_lib.mongoc_uri_new_with_error
#define mongoc_uri_set_appname mongo_lib.mongoc_uri_set_appname
#define mongoc_uri_set_option_as_bool mongo_lib.mongoc_uri_set_option_as_bool
#define mongoc_uri_set_option_as_int32 mongo_lib.mongoc_uri_set_option_as_int32
#define mongoc_write_concern_append mongo_lib.mongoc_write_concern_append
#define mongoc_write_concern_copy mongo_lib.mongoc_write_concern_copy
#define mongoc_write_concern_destroy mongo_lib.mongoc_write_concern_destroy
#define mongoc_write_concern_is_acknowledged mongo_lib.mongoc_write_concern_is_acknowledged
#define mongoc_write_concern_set_journal mongo_lib.mongoc_write_concern_set_journal
#define mongoc_write_concern_set_w mongo_lib.mongoc_write_concern_set_w
#define mongoc_write_concern_set_wtimeout_int64 mongo_lib.mongoc_write_concern_set_wtimeout_int64
