#include <netinet/in.h>

#include "base/hash.h"
#include "http/server_impl.h"

// In a time that depends on the length of what was sent alone.
static bool same_secret(struct str sent, struct str secret)
{
    unsigned differ = sent.n != secret.n;
    for (size_t i = 0; i < sent.n; i++) {
        char c = secret.n ? secret.p[i % secret.n] : 0;
        differ |= (unsigned char)sent.p[i] ^ (unsigned char)c;
    }
    return differ == 0;
}

static bool bears(struct str header, struct str token)
{
    struct str scheme;
    if (!str_split(&header, ' ', &scheme) || !str_present(header) ||
        !str_glob(STR("bearer"), scheme)) {
        return false;
    }
    return same_secret(str_trim(header), token);
}

bool guard_is_local(const struct sockaddr *peer)
{
    if (peer->sa_family == AF_INET) {
        return ntohl(((const struct sockaddr_in *)(const void *)peer)->sin_addr.s_addr) >> 24 ==
               127;
    }
    if (peer->sa_family != AF_INET6) {
        return false;
    }
    const struct in6_addr *a = &((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(a) || (IN6_IS_ADDR_V4MAPPED(a) && a->s6_addr[12] == 127);
}

uint64_t guard_address(const struct sockaddr *peer)
{
    if (peer->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)(const void *)peer;
        return hash_bytes(&in->sin6_addr, 8, 0); // a host has its /64 to itself
    }
    if (peer->sa_family != AF_INET) {
        return 0;
    }
    const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)peer;
    return hash_bytes(&in->sin_addr, sizeof(in->sin_addr), 1);
}

static const struct sockaddr *peer_of(struct http_exchange *x)
{
    return MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr;
}

// "127.0.0.1:8080", "[::1]", "localhost": no name that somebody's DNS server answers for.
static bool is_own_name(struct str host)
{
    struct str name = host;
    if (host.n > 0 && host.p[0] == '[') {
        return true;
    }
    (void)str_split(&host, ':', &name);
    size_t n = 0;
    while (n < name.n && ((name.p[n] >= '0' && name.p[n] <= '9') || name.p[n] == '.')) {
        n++;
    }
    return name.n > 0 && (n == name.n || str_glob(STR("localhost"), name));
}

// A page in somebody's browser may reach this host's loopback address too, but its requests name
// the page's origin. A page whose own name leads here (DNS rebinding) names that as the host.
static bool foreign_origin(struct http_exchange *x)
{
    struct str origin = http_header(x, "Origin"), host = http_header(x, "Host"), scheme;
    if (!str_present(origin)) {
        return false;
    }
    (void)str_split(&origin, '/', &scheme); // "http:" "/host:port"
    return origin.n < 1 || !str_eq((struct str){origin.p + 1, origin.n - 1}, host) ||
           !is_own_name(host);
}

// What a proxy on this host passes on comes from wherever its client is.
static bool is_passed_on(struct http_exchange *x)
{
    return str_present(http_header(x, "X-Forwarded-For")) ||
           str_present(http_header(x, "Forwarded"));
}

// Without a token only this host may: 0, or why not.
static int check_local(struct http_exchange *x, const char **ret_why)
{
    if (!guard_is_local(peer_of(x)) || is_passed_on(x)) {
        *ret_why = "from another host a bearer token is needed, and this server was given none: "
                   "start it with --api-token-file";
        return 403;
    }
    *ret_why = "requests of web pages of other origins are refused";
    return foreign_origin(x) ? 403 : 0;
}

static int check_token(struct http_server *s, struct http_exchange *x, bool reading,
                       const char **ret_why)
{
    pthread_mutex_lock(&s->lock);
    bool asked = s->secrets.token != NULL;
    bool good = asked && bears(http_header(x, "Authorization"), str_of(s->secrets.token));
    pthread_mutex_unlock(&s->lock);
    if (!asked && reading) {
        return 0;
    }
    if (!asked) {
        return check_local(x, ret_why);
    }
    *ret_why = "the bearer token is missing or wrong: send \"Authorization: Bearer\" with the one "
               "in the file that --api-token-file names";
    return good ? 0 : 401;
}

static bool over_rate(struct http_server *s, uint64_t address)
{
    struct http_rate *r = &s->rate;
    double most = (double)s->config.requests_per_s;
    size_t i = address % HTTP_BUCKETS;
    struct mono now = clock_mono(&clock_system);
    pthread_mutex_lock(&r->lock);
    double passed = (double)(now.ns - r->at[i].ns) / (double)NS_PER_S;
    double left = r->at[i].ns == 0 ? most : MIN(most, r->left[i] + passed * most);
    bool over = left < 1;
    r->left[i] = over ? left : left - 1;
    r->at[i] = now;
    pthread_mutex_unlock(&r->lock);
    return over;
}

int guard_check(struct http_server *s, struct http_exchange *x, const struct http_route *route,
                const char **ret_why)
{
    bool guarded = route->flags & HTTP_GUARDED, reading = route->flags & HTTP_READING;
    int status = guarded || reading ? check_token(s, x, !guarded, ret_why) : 0;
    if (status == 0 && route->flags & HTTP_LIMITED && s->config.requests_per_s > 0 &&
        over_rate(s, guard_address(peer_of(x)))) {
        *ret_why = "too many requests from this address: send more records in each";
        return 429;
    }
    return status;
}
