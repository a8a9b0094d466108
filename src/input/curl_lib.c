#include "input/curl_lib.h"

#include <stdarg.h>

struct curl_lib curl_lib;

int curl_lib_load(struct error *err)
{
    static const char *const names[] = {CURL_FUNCTIONS(LIBRARY_NAME)};
    static struct library library = LIBRARY("libcurl.so.4", "libcurl4", names, curl_lib, NULL);
    return library_load(&library, err);
}

// The two of any type of argument: the option's number says which (curl/curl.h, CURLOPTTYPE_...).
#undef curl_easy_setopt
#undef curl_easy_getinfo

CURLcode curl_easy_setopt(CURL *handle, CURLoption option, ...)
{
    CURLcode r;
    va_list ap;
    va_start(ap, option);
    if (option < CURLOPTTYPE_OBJECTPOINT) {
        r = curl_lib.curl_easy_setopt(handle, option, va_arg(ap, long));
    } else if (option >= CURLOPTTYPE_OFF_T && option < CURLOPTTYPE_BLOB) {
        r = curl_lib.curl_easy_setopt(handle, option, va_arg(ap, curl_off_t));
    } else {
        r = curl_lib.curl_easy_setopt(handle, option, va_arg(ap, void *));
    }
    va_end(ap);
    return r;
}

CURLcode curl_easy_getinfo(CURL *handle, CURLINFO info, ...)
{
    va_list ap;
    va_start(ap, info);
    CURLcode r = curl_lib.curl_easy_getinfo(handle, info, va_arg(ap, void *));
    va_end(ap);
    return r;
}
