// libcurl, loaded when the first address is fetched from: it brings twenty libraries along, and
// most commands need none of it. Internal to src/input. See base/library.h.
#pragma once

#include <curl/curl.h>

#include "base/library.h"

// clang-format off
#define CURL_FUNCTIONS(X)                                                                          \
    X(curl_easy_cleanup) X(curl_easy_getinfo) X(curl_easy_init) X(curl_easy_setopt)                \
    X(curl_easy_strerror) X(curl_free) X(curl_global_cleanup) X(curl_global_init)                  \
    X(curl_multi_add_handle) X(curl_multi_cleanup) X(curl_multi_info_read) X(curl_multi_init)      \
    X(curl_multi_perform) X(curl_multi_poll) X(curl_multi_remove_handle) X(curl_slist_append)      \
    X(curl_slist_free_all) X(curl_url) X(curl_url_cleanup) X(curl_url_get) X(curl_url_set)
// clang-format on

struct curl_lib {
    CURL_FUNCTIONS(LIBRARY_MEMBER)
};
extern struct curl_lib curl_lib; // written by curl_lib_load() alone

// Before any other function of libcurl. -EOPNOTSUPP: it is not installed. Thread-safe.
int curl_lib_load(struct error *err) GTAP_CHECK;

// curl_easy_setopt() and curl_easy_getinfo() are called as ever, through the macros of libcurl that
// check their arguments' types; what these call is in curl_lib.c.

#define curl_easy_cleanup curl_lib.curl_easy_cleanup
#define curl_easy_init curl_lib.curl_easy_init
#define curl_easy_strerror curl_lib.curl_easy_strerror
#define curl_free curl_lib.curl_free
#define curl_global_cleanup curl_lib.curl_global_cleanup
#define curl_global_init curl_lib.curl_global_init
#define curl_multi_add_handle curl_lib.curl_multi_add_handle
#define curl_multi_cleanup curl_lib.curl_multi_cleanup
#define curl_multi_info_read curl_lib.curl_multi_info_read
#define curl_multi_init curl_lib.curl_multi_init
#define curl_multi_perform curl_lib.curl_multi_perform
#define curl_multi_poll curl_lib.curl_multi_poll
#define curl_multi_remove_handle curl_lib.curl_multi_remove_handle
#define curl_slist_append curl_lib.curl_slist_append
#define curl_slist_free_all curl_lib.curl_slist_free_all
#define curl_url curl_lib.curl_url
#define curl_url_cleanup curl_lib.curl_url_cleanup
#define curl_url_get curl_lib.curl_url_get
#define curl_url_set curl_lib.curl_url_set
