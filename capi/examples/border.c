/* What the border promises, tried from the other side: usage: border http://HOST:PORT
 * Prints "ok", or says what is not so and ends with 1. */
#define _GNU_SOURCE
#include <gannet.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char base[200];
static gannet *loop;

#define CHECK(what)                                                    \
    do {                                                               \
        if (!(what)) {                                                 \
            printf("line %d: not so: %s\n", __LINE__, #what);          \
            exit(1);                                                   \
        }                                                              \
    } while (0)

struct seen {
    unsigned heads, dones, ok, prepared, redirects, repeats, restarts, chain, resumed;
    size_t bytes, sent;
    int answer;
    /* What the body callback does with the request that it is called for: `c`ancel, cancel `a`ll, `p`ause, `f`ree. */
    char act;
    gannet_ticket paused;
    char error[64], field[64];
};

static int on_head(void *user, gannet_ctl *ctl, gannet_ticket ticket, uint64_t tag,
                   const gannet_head *head) {
    struct seen *seen = user;
    gannet_error error;
    (void)ctl, (void)tag;
    seen->heads++;
    CHECK(head->size == sizeof *head && head->status >= 200 && head->url.len > 7);
    for (size_t n = 0; n < head->fields_len; n++)
        if (head->fields[n].name.len == 12 && !strncasecmp(head->fields[n].name.ptr, "content-type", 12))
            snprintf(seen->field, sizeof seen->field, "%.*s", (int)head->fields[n].value.len,
                     head->fields[n].value.ptr);
    /* Coming back in is refused, and harms nothing. */
    CHECK(gannet_turn(loop, 0, &(gannet_callbacks){.size = sizeof(gannet_callbacks)}, &error) ==
          GANNET_E_REENTERED);
    CHECK(gannet_fd(loop) == -1 && strlen(error.text) > 10);
    if (seen->answer == GANNET_PAUSE) seen->paused = ticket;
    return seen->answer;
}

static void on_body(void *user, gannet_ctl *ctl, gannet_ticket ticket, uint64_t tag,
                    const uint8_t *data, size_t len) {
    struct seen *seen = user;
    (void)tag, (void)data;
    seen->bytes += len;
    char act = seen->act;
    seen->act = 0;
    if (act == 'c') CHECK(gannet_ctl_cancel(ctl, ticket) == GANNET_OK);
    if (act == 'a') CHECK(gannet_ctl_cancel_all(ctl) == GANNET_OK);
    if (act == 'p') CHECK(gannet_ctl_pause(ctl, seen->paused = ticket) == GANNET_OK);
    /* What must not be done here is not done. */
    if (act == 'f') {
        gannet_free(loop);
        CHECK(gannet_drain(loop, 0) == GANNET_E_REENTERED && gannet_cancel(loop, ticket) == GANNET_E_REENTERED);
        CHECK(gannet_wants(loop) == 0 && gannet_submit(loop, NULL, NULL) == 0);
    }
}

static int on_redirect(void *user, gannet_ticket ticket, uint64_t tag, const gannet_head *head) {
    (void)ticket;
    ((struct seen *)user)->redirects++;
    CHECK(head->location.len > 0 && head->status / 100 == 3);
    return tag != 66; /* A veto for one of them. */
}

static int on_repeat(void *user, gannet_ticket ticket, uint64_t tag, gannet_str why, uint32_t status) {
    (void)ticket, (void)tag, (void)why, (void)status;
    ((struct seen *)user)->repeats++;
    return 1;
}

static void on_prepare(void *user, gannet_ticket ticket, uint64_t tag, gannet_draft *draft) {
    struct seen *seen = user;
    char token[20];
    (void)ticket, (void)tag;
    int len = snprintf(token, sizeof token, "token-%u", ++seen->prepared);
    CHECK(gannet_draft_set(draft, "X-Token", token, len) == GANNET_OK);
    CHECK(gannet_draft_set(draft, "User-Agent", NULL, 0) == GANNET_OK);
    /* What is the library's own, or not fit to be sent, stays as it is. */
    CHECK(gannet_draft_set(draft, "Content-Length", "9", 1) == GANNET_E_REQUEST);
    CHECK(gannet_draft_set(draft, "X-Bad", "a\r\nb", 4) == GANNET_E_REQUEST);
    CHECK(gannet_draft_set(draft, NULL, "a", 1) == GANNET_E_ARGUMENT);
    gannet_str bytes = gannet_draft_bytes(draft);
    CHECK(bytes.len > 20 && memmem(bytes.ptr, bytes.len, token, len) && !memmem(bytes.ptr, bytes.len, "X-Bad", 5));
}

static void on_restart(void *user, gannet_ctl *ctl, gannet_ticket ticket, uint64_t tag) {
    (void)ctl, (void)ticket, (void)tag;
    ((struct seen *)user)->restarts++;
}

static ptrdiff_t on_upload(void *user, gannet_ctl *ctl, gannet_ticket ticket, uint64_t tag,
                           uint64_t at, uint8_t *out, size_t room) {
    struct seen *seen = user;
    (void)ctl, (void)ticket;
    if (tag == 90) return GANNET_UPLOAD_ABORT;
    size_t left = 100000 - at, piece = left < room ? left : room;
    memset(out, 'u', piece);
    seen->sent = at + piece;
    return piece;
}

static void on_done(void *user, gannet_ctl *ctl, gannet_ticket ticket, uint64_t tag,
                    const gannet_result *result) {
    struct seen *seen = user;
    (void)ticket, (void)tag;
    seen->dones++;
    seen->ok += result->ok;
    snprintf(seen->error, sizeof seen->error, "%.*s", (int)result->error.len, result->error.ptr);
    CHECK(result->ok ? result->curl_code == 0 : result->curl_code != 0 && result->text.len > 5);
    if (seen->chain) {
        char url[300];
        snprintf(url, sizeof url, "%s/bytes/7", base);
        gannet_request next = {.size = sizeof next, .url = url, .tag = 1000 + seen->chain--};
        CHECK(gannet_ctl_wants(ctl) > 0);
        CHECK(gannet_ctl_submit(ctl, &next, NULL) == GANNET_OK);
    }
}

static struct seen run(const char *path, gannet_request request, struct seen seen) {
    char url[300];
    gannet_error error;
    gannet_callbacks callbacks = {.size = sizeof callbacks, .user = &seen, .head = on_head,
                                  .body = on_body, .restart = on_restart, .redirect = on_redirect,
                                  .repeat = on_repeat, .upload = on_upload, .done = on_done};
    snprintf(url, sizeof url, "%s%s", base, path);
    request.size = sizeof request;
    request.url = url;
    gannet_ticket ticket = gannet_submit(loop, &request, &error);
    if (!ticket) printf("%s\n", error.text);
    CHECK(ticket != 0 && error.code == GANNET_OK);
    while (gannet_in_flight(loop)) {
        CHECK(gannet_turn(loop, 50, &callbacks, &error) == GANNET_OK);
        if (seen.paused) {
            /* Nothing comes while it rests; then it goes on. */
            for (int n = 0; n < 5; n++) gannet_turn(loop, 10, &callbacks, NULL);
            size_t before = seen.bytes;
            for (int n = 0; n < 5; n++) gannet_turn(loop, 10, &callbacks, NULL);
            CHECK(seen.dones == 0 && seen.bytes == before);
            CHECK(gannet_resume(loop, seen.paused) == GANNET_OK);
            seen.paused = 0, seen.resumed = 1;
        }
    }
    return seen;
}

/* What is known of the server of all these requests. */
static void on_host(void *user, const gannet_host *host) {
    unsigned *hosts = user;
    ++*hosts;
    CHECK(host->size == sizeof *host && host->port > 0 && host->scheme.len == 4);
    CHECK(!strncmp(host->host.ptr, "127.0.0.1", host->host.len) && host->host.len == 9);
    CHECK(host->requests > 20 && host->responses > 20 && host->responses <= host->requests);
    CHECK(host->bytes > 3000000 && host->opened > 0 && host->peak > 0 && host->repeats == 1);
    CHECK(host->finding.len > 3 && host->why.len > 5 && host->limit > 0 && !host->down);
    CHECK(host->error.len == 15 && !strncmp(host->error.ptr, "attempt_timeout", 15));
    CHECK(host->timeouts == 1 && host->failed == 1 && host->unavailable == 1);
    CHECK(host->remedy.len == 12 && !strncmp(host->remedy.ptr, "ask_for_more", 12));
    CHECK(host->queued == 0 && host->closed_ms == 0 && host->rate_milli == 0);
    CHECK(gannet_host_stats(loop, on_host, user) == GANNET_E_REENTERED);
}

/* Of addresses that several hosts share. */
static void on_address(void *user, const gannet_address *address) {
    unsigned *addresses = user;
    ++*addresses;
    CHECK(address->size == sizeof *address && address->hosts == 3 && address->limit > 0);
    CHECK(address->address.len == 9 && !strncmp(address->address.ptr, "127.0.0.1", 9));
    CHECK(address->finding.len > 3 && address->why.len > 5 && address->connections < 100);
    CHECK(gannet_address_stats(loop, on_address, user) == GANNET_E_REENTERED);
}

static int allows;

static int on_allow(void *user, gannet_str address) {
    (void)user;
    CHECK(address.len > 10 && !strncmp(address.ptr, "127.0.0.1:", 10));
    return allows;
}

static void on_log(void *user, int level, const char *text) {
    unsigned *lines = user;
    ++*lines;
    CHECK(level >= GANNET_LOG_WARN && level <= GANNET_LOG_TRACE && !strncmp(text, "http://127.0.0.1", 16));
}

static void *other_thread(void *remote) {
    char url[300];
    snprintf(url, sizeof url, "%s/bytes/9", base);
    for (uint64_t n = 0; n < 10; n++) {
        gannet_request request = {.size = sizeof request, .url = url, .tag = 2000 + n};
        gannet_error error;
        CHECK(gannet_remote_submit(remote, &request, &error) == GANNET_OK);
    }
    CHECK(gannet_remote_cancel(remote, 12345) == GANNET_OK);
    CHECK(gannet_remote_wake(remote) == GANNET_OK);
    return NULL;
}

int main(int argc, char **argv) {
    gannet_error error;
    struct seen none = {0}, seen;
    gannet_request plain = {0};
    if (argc != 2) return 2;
    snprintf(base, sizeof base, "%s", argv[1]);
    CHECK(strlen(gannet_version()) >= 5);

    /* What makes no sense is refused with a code and a sentence. */
    gannet_options bad = {.size = 3};
    CHECK(!gannet_new(&bad, &error) && error.code == GANNET_E_ARGUMENT);
    bad = (gannet_options){.size = sizeof bad, .preset = 77};
    CHECK(!gannet_new(&bad, &error) && error.code == GANNET_E_ARGUMENT);
    bad = (gannet_options){.size = sizeof bad, .resolve = "nonsense"};
    CHECK(!gannet_new(&bad, &error) && strstr(error.text, "nonsense"));
    bad = (gannet_options){.size = sizeof bad, .read_buffer = 1};
    CHECK(!gannet_new(&bad, &error) && error.code == GANNET_E_CONFIG);
    CHECK(!gannet_most_bytes(&bad, 8, 256, &error) && error.code == GANNET_E_CONFIG);
    bad = (gannet_options){.size = sizeof bad, .preset = GANNET_TINY};
    CHECK(gannet_most_bytes(&bad, 8, 256, &error) > 100000);
    CHECK(gannet_most_bytes(&bad, 8, 256, NULL) < gannet_most_bytes(&bad, 80, 256, NULL));
    CHECK(gannet_most_bytes(&bad, 80, 256, NULL) < gannet_most_bytes(NULL, 80, 256, NULL));
    /* More than anybody has is told as that: it never comes round to little. */
    CHECK(gannet_most_bytes(NULL, SIZE_MAX, 256, NULL) == SIZE_MAX);
    CHECK(gannet_most_bytes(NULL, 8, SIZE_MAX / 3, NULL) == SIZE_MAX);
    bad = (gannet_options){.size = sizeof bad, .ca_pem = "no", .ca_pem_len = 2};
    CHECK(!gannet_new(&bad, NULL));
    CHECK(gannet_turn(NULL, 0, NULL, &error) == GANNET_E_ARGUMENT);
    CHECK(gannet_cancel_all(NULL) == GANNET_E_ARGUMENT);
    gannet_free(NULL);
    gannet_remote_free(NULL);

    /* What is wrong with a request is told of one that there is no room for, too. */
    gannet_options small = {.size = sizeof small, .preset = GANNET_TINY, .max_jobs = 1};
    CHECK((loop = gannet_new(&small, &error)));
    gannet_request one = {.size = sizeof one, .url = "http://x.invalid/"};
    CHECK(gannet_submit(loop, &one, &error) && !gannet_wants(loop));
    CHECK(!gannet_submit(loop, &one, &error) && error.code == GANNET_E_FULL);
    one.method = "GE T";
    CHECK(!gannet_submit(loop, &one, &error) && error.code == GANNET_E_REQUEST);
    one.method = NULL, one.url = "http://a b/";
    CHECK(!gannet_submit(loop, &one, &error) && error.code == GANNET_E_REQUEST);
    gannet_free(loop);

    /* An older caller, whose struct ends earlier, and a newer one whose rest is zero. */
    struct { gannet_options known; uint64_t later[2]; } newer = {0};
    gannet_options older = {.size = 16, .preset = GANNET_TINY};
    CHECK((loop = gannet_new(&older, &error)));
    gannet_free(loop);
    newer.known.size = sizeof newer;
    CHECK((loop = gannet_new(&newer.known, &error)));
    gannet_free(loop);
    newer.later[1] = 1;
    CHECK(!gannet_new(&newer.known, &error) && strstr(error.text, "does not know"));

    CHECK((loop = gannet_new(NULL, &error)) && gannet_fd(loop) >= 0);
    gannet_request bad_request = {.size = sizeof bad_request};
    CHECK(!gannet_submit(loop, &bad_request, &error) && error.code == GANNET_E_ARGUMENT);
    bad_request.url = "gopher://x/";
    CHECK(!gannet_submit(loop, &bad_request, &error) && error.code == GANNET_E_REQUEST);
    bad_request.url = "http://x/";
    const char *smuggled[] = {"A: b\r\nC: d"};
    bad_request.headers = smuggled, bad_request.headers_len = 1;
    CHECK(!gannet_submit(loop, &bad_request, &error) && error.code == GANNET_E_REQUEST);
    CHECK(gannet_timeout_ms(loop) == -1 && gannet_in_flight(loop) == 0);

    seen = run("/bytes/100000", plain, none);
    CHECK(seen.ok == 1 && seen.dones == 1 && seen.heads == 1 && seen.bytes == 100000);
    CHECK(seen.field[0]);
    seen = run("/bytes/100000", plain, (struct seen){.answer = GANNET_SKIP_BODY});
    CHECK(seen.ok == 1 && seen.bytes == 0);
    seen = run("/bytes/1000", plain, (struct seen){.answer = GANNET_STOP});
    CHECK(seen.ok == 0 && !strcmp(seen.error, "filtered"));
    seen = run("/bytes/3000000", plain, (struct seen){.answer = GANNET_PAUSE});
    CHECK(seen.ok == 1 && seen.bytes == 3000000 && seen.resumed);
    seen = run("/bytes/3000000", plain, (struct seen){.act = 'p'});
    CHECK(seen.ok == 1 && seen.bytes == 3000000 && seen.resumed);
    for (const char *act = "ca"; *act; act++) {
        seen = run("/bytes/3000000", plain, (struct seen){.act = *act});
        CHECK(seen.dones == 1 && seen.ok == 0 && !strcmp(seen.error, "cancelled") && seen.bytes < 3000000);
    }
    seen = run("/bytes/300000", plain, (struct seen){.act = 'f'});
    CHECK(seen.dones == 1 && seen.ok == 1 && seen.bytes == 300000);
    /* Called off by a callback of the very bytes that brought the end. */
    seen = run("/bytes/10", plain, (struct seen){.act = 'c'});
    CHECK(seen.dones == 1 && seen.ok == 0 && !strcmp(seen.error, "cancelled") && seen.bytes == 10);
    seen = run("/redirect/3", (gannet_request){.follow = 1}, none);
    CHECK(seen.ok == 1 && seen.redirects == 3 && seen.heads == 1);
    seen = run("/redirect/3", (gannet_request){.follow = 1, .tag = 66}, none);
    CHECK(seen.ok == 1 && seen.redirects == 1 && seen.heads == 1);
    seen = run("/unstable/1/10", plain, none);
    CHECK(seen.ok == 1 && seen.repeats == 1 && seen.bytes == 10);
    seen = run("/gzip/5000", (gannet_request){.compressed = 1}, none);
    CHECK(seen.ok == 1 && seen.bytes == 5000);
    const char *headers[] = {"X-One: 1", "User-Agent:"};
    seen = run("/echo", (gannet_request){.headers = headers, .headers_len = 2,
                                         .body = (const uint8_t *)"hello", .body_len = 5}, none);
    CHECK(seen.ok == 1 && seen.bytes > 30);
    seen = run("/echo", (gannet_request){.upload = 1, .upload_len = 100000}, none);
    CHECK(seen.ok == 1 && seen.sent == 100000 && seen.bytes > 100000);
    seen = run("/echo", (gannet_request){.upload = 1, .upload_len = UINT64_MAX}, none);
    CHECK(seen.ok == 1 && seen.sent == 100000);
    seen = run("/echo", (gannet_request){.upload = 1, .upload_len = 9, .tag = 90}, none);
    CHECK(seen.ok == 0 && !strcmp(seen.error, "cancelled"));
    seen = run("/bytes/7", plain, (struct seen){.chain = 20});
    CHECK(seen.ok == 21 && seen.bytes == 21 * 7);
    seen = run("/delay/60000/1", (gannet_request){.timeout_ms = 100, .attempts = 1}, none);
    CHECK(seen.ok == 0 && !strcmp(seen.error, "attempt_timeout"));

    unsigned hosts = 0;
    CHECK(gannet_host_stats(loop, on_host, &hosts) == GANNET_OK && hosts == 1);
    CHECK(gannet_host_stats(loop, NULL, NULL) == GANNET_E_ARGUMENT);
    CHECK(gannet_address_stats(loop, NULL, NULL) == GANNET_E_ARGUMENT);
    CHECK(gannet_address_stats(loop, on_address, &hosts) == GANNET_OK && hosts == 1);

    seen = run("/delay/60000/1", (gannet_request){.first_byte_timeout_ms = 100, .no_repeats = 1}, none);
    CHECK(seen.ok == 0 && !strcmp(seen.error, "first_byte_timeout"));

    /* Each attempt and each hop is prepared anew. */
    gannet_callbacks prepares = {.size = sizeof prepares, .user = &seen, .body = on_body, .done = on_done,
                                 .prepare = on_prepare};
    char first[300];
    seen = none;
    for (const char **path = (const char *[]){"/redirect-to?url=/unstable/1/11", "/echo", NULL}; *path; path++) {
        snprintf(first, sizeof first, "%s%s", base, *path);
        gannet_request hops = {.size = sizeof hops, .url = first, .follow = 1};
        CHECK(gannet_submit(loop, &hops, &error));
        unsigned before = seen.dones;
        while (seen.dones == before) CHECK(gannet_turn(loop, 1000, &prepares, &error) == GANNET_OK);
    }
    CHECK(seen.ok == 2 && seen.prepared == 4);
    CHECK(gannet_draft_set(NULL, "A", "b", 1) == GANNET_E_ARGUMENT && gannet_draft_bytes(NULL).len == 0);

    /* Commands between turns, each of which is told by the next. */
    gannet_callbacks plainly = {.size = sizeof plainly, .user = &seen, .body = on_body, .done = on_done};
    char big[300];
    snprintf(big, sizeof big, "%s/bytes/3000000", base);
    gannet_request many = {.size = sizeof many, .url = big};
    gannet_ticket ticket = gannet_submit(loop, &many, &error);
    for (seen = none; !seen.bytes;) CHECK(ticket && gannet_turn(loop, 1000, &plainly, &error) == GANNET_OK);
    CHECK(gannet_pause(loop, ticket) == GANNET_OK);
    for (int n = 0; n < 5; n++) gannet_turn(loop, 10, &plainly, NULL);
    size_t rests = seen.bytes;
    for (int n = 0; n < 5; n++) gannet_turn(loop, 10, &plainly, NULL);
    CHECK(seen.bytes == rests && !seen.dones && gannet_resume(loop, ticket) == GANNET_OK);
    while (seen.bytes == rests) CHECK(gannet_turn(loop, 1000, &plainly, &error) == GANNET_OK);
    CHECK(seen.dones || gannet_cancel(loop, ticket) == GANNET_OK);
    CHECK(gannet_run(loop, &plainly, &error) == GANNET_OK && seen.dones == 1);
    CHECK(seen.ok || !strcmp(seen.error, "cancelled"));
    /* A ticket that is dead names nobody. */
    CHECK(gannet_cancel(loop, ticket) == GANNET_OK && gannet_pause(loop, 0) == GANNET_OK);
    CHECK(gannet_run(loop, &plainly, &error) == GANNET_OK && seen.dones == 1);

    gannet_remote *remote = gannet_remote_new(loop, 16, &error);
    CHECK(remote);
    pthread_t thread;
    CHECK(!pthread_create(&thread, NULL, other_thread, remote));
    seen = none;
    gannet_callbacks callbacks = {
        .size = sizeof callbacks, .user = &seen, .body = on_body, .done = on_done};
    while (seen.dones < 10) CHECK(gannet_turn(loop, 1000, &callbacks, &error) == GANNET_OK);
    CHECK(!pthread_join(thread, NULL) && seen.ok == 10 && seen.bytes == 90);

    /* One that rests is resumed from elsewhere; then everything is called off from elsewhere. */
    seen = (struct seen){.answer = GANNET_PAUSE};
    callbacks.head = on_head;
    char path[300];
    snprintf(path, sizeof path, "%s/bytes/3000000", base);
    gannet_request large = {.size = sizeof large, .url = path, .tag = 3000};
    CHECK(gannet_submit(loop, &large, &error));
    while (!seen.paused) CHECK(gannet_turn(loop, 1000, &callbacks, &error) == GANNET_OK);
    CHECK(gannet_remote_resume(remote, 3000) == GANNET_OK);
    while (!seen.dones) CHECK(gannet_turn(loop, 1000, &callbacks, &error) == GANNET_OK);
    CHECK(seen.ok == 1 && seen.bytes == 3000000);
    seen.paused = 0;
    CHECK(gannet_submit(loop, &large, &error));
    while (!seen.paused) CHECK(gannet_turn(loop, 1000, &callbacks, &error) == GANNET_OK);
    CHECK(gannet_remote_cancel_all(remote) == GANNET_OK);
    while (seen.dones < 2) CHECK(gannet_turn(loop, 1000, &callbacks, &error) == GANNET_OK);
    CHECK(seen.ok == 1 && !strcmp(seen.error, "cancelled"));
    CHECK(gannet_remote_resume(NULL, 1) == GANNET_E_ARGUMENT && gannet_remote_cancel_all(NULL) == GANNET_E_ARGUMENT);
    seen = none, callbacks.head = NULL;

    gannet_request slow = {.size = sizeof slow};
    char url[300];
    snprintf(url, sizeof url, "%s/delay/60000/1", base);
    slow.url = url;
    CHECK(gannet_submit(loop, &slow, &error) && gannet_drain(loop, 50) == GANNET_OK);
    CHECK(!gannet_submit(loop, &slow, &error) && error.code == GANNET_E_DRAINING && !gannet_wants(loop));
    CHECK(gannet_run(loop, &callbacks, &error) == GANNET_OK && seen.dones == 1);
    gannet_free(loop);
    CHECK(gannet_remote_wake(remote) == GANNET_OK || 1);
    slow.url = "http://127.0.0.1/";
    CHECK(gannet_remote_submit(remote, &slow, &error) == GANNET_E_CLOSED);
    CHECK(gannet_remote_resume(remote, 1) == GANNET_E_CLOSED && gannet_remote_cancel_all(remote) == GANNET_E_CLOSED);
    gannet_remote_free(remote);

    /* Whoever is asked may forbid an address; what happens is told to a log. */
    gannet_request small_one = {.size = sizeof small_one, .url = url};
    snprintf(url, sizeof url, "%s/bytes/7", base);
    unsigned lines = 0;
    for (allows = 0; allows < 2; allows++) {
        CHECK((loop = gannet_new(NULL, &error)) && gannet_set_log(loop, GANNET_LOG_TRACE, on_log, &lines) == GANNET_OK);
        gannet_callbacks asked = {.size = sizeof asked, .user = &seen, .done = on_done, .allow = on_allow};
        seen = none;
        CHECK(gannet_submit(loop, &small_one, &error) && gannet_run(loop, &asked, &error) == GANNET_OK);
        CHECK(seen.dones == 1 && seen.ok == (unsigned)allows && (allows || !strcmp(seen.error, "address_refused")));
        CHECK(lines > 0);
        unsigned told = lines;
        CHECK(gannet_set_log(loop, 0, NULL, NULL) == GANNET_OK && gannet_submit(loop, &small_one, &error));
        CHECK(gannet_run(loop, &asked, &error) == GANNET_OK && seen.dones == 2 && lines == told);
        gannet_free(loop);
    }

    /* Several names at one address: they share its limit, and that is told. */
    const char *port = strrchr(base, ':') + 1;
    snprintf(path, sizeof path, "a.test:%s:127.0.0.1\nb.test:%s:127.0.0.1\nc.test:%s:127.0.0.1\n", port, port, port);
    gannet_options names = {.size = sizeof names, .resolve = path};
    CHECK((loop = gannet_new(&names, &error)));
    CHECK(gannet_address_stats(loop, on_address, &hosts) == GANNET_OK);
    hosts = 0;
    for (char name = 'a'; name <= 'c'; name++) {
        snprintf(url, sizeof url, "http://%c.test:%s/bytes/7", name, port);
        gannet_request request = {.size = sizeof request, .url = url};
        CHECK(gannet_submit(loop, &request, &error));
    }
    seen = none;
    CHECK(gannet_run(loop, &callbacks, &error) == GANNET_OK && seen.ok == 3);
    CHECK(gannet_address_stats(loop, on_address, &hosts) == GANNET_OK && hosts == 1);
    gannet_free(loop);
    printf("ok\n");
    return 0;
}
