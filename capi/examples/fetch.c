/* URLs from the command line or a list, in a plain poll(2) loop beside another source.
 *
 *   cc fetch.c $(pkg-config --cflags --libs gannet) -o fetch
 *   ./fetch http://127.0.0.1:8080/a http://127.0.0.1:8080/b
 *   ./fetch - < urls.txt
 *
 * Prints a line a URL. The program does nothing about SIGPIPE: the library never raises it. */
#include <gannet.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tally {
    uint64_t done, failed, bytes;
};

static void on_body(void *user, gannet_ctl *ctl, gannet_ticket ticket, uint64_t tag,
                    const uint8_t *data, size_t len) {
    (void)ctl, (void)ticket, (void)tag, (void)data;
    ((struct tally *)user)->bytes += len;
}

static void on_done(void *user, gannet_ctl *ctl, gannet_ticket ticket, uint64_t tag,
                    const gannet_result *result) {
    struct tally *tally = user;
    (void)ctl, (void)ticket;
    tally->done++;
    tally->failed += !result->ok;
    if (result->ok)
        printf("%llu %u %.*s\n", (unsigned long long)tag, result->status, (int)result->url.len,
               result->url.ptr);
    else
        printf("%llu %.*s: %.*s\n", (unsigned long long)tag, (int)result->error.len,
               result->error.ptr, (int)result->text.len, result->text.ptr);
}

static void on_log(void *user, int level, const char *text) {
    (void)user;
    fprintf(stderr, "gannet[%d] %s\n", level, text);
}

int main(int argc, char **argv) {
    gannet_error error;
    gannet_options options = {.size = sizeof options, .preset = GANNET_DEFAULT};
    gannet *loop = gannet_new(&options, &error);
    if (!loop) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    gannet_set_log(loop, GANNET_LOG_INFO, on_log, NULL);

    struct tally tally = {0, 0, 0};
    gannet_callbacks callbacks = {
        .size = sizeof callbacks, .user = &tally, .body = on_body, .done = on_done};
    int from_list = argc == 2 && !strcmp(argv[1], "-"), more = 1, next = 1;
    uint64_t tag = 0;
    char line[4096];

    while (more || gannet_in_flight(loop) > 0) {
        /* The list may be as long as it likes: the loop takes what it has room for. */
        while (more && gannet_wants(loop) > 0) {
            const char *url = NULL;
            if (from_list) {
                if ((url = fgets(line, sizeof line, stdin))) line[strcspn(line, "\r\n")] = 0;
            } else if (next < argc) {
                url = argv[next++];
            }
            if (!url) {
                more = 0;
                break;
            }
            gannet_request request = {
                .size = sizeof request, .url = url, .tag = tag++, .follow = 1};
            if (!gannet_submit(loop, &request, &error)) {
                printf("%llu %s\n", (unsigned long long)request.tag, error.text);
                tally.failed++;
            }
        }
        /* One descriptor and one deadline: that is all that a loop has to know. */
        struct pollfd watched[1] = {{.fd = gannet_fd(loop), .events = POLLIN}};
        int64_t timeout = gannet_timeout_ms(loop);
        poll(watched, 1, timeout > 1000 || timeout < 0 ? 1000 : (int)timeout);
        if (gannet_turn(loop, 0, &callbacks, &error) != GANNET_OK) {
            fprintf(stderr, "%s\n", error.text);
            break;
        }
    }
    fprintf(stderr, "%llu done, %llu failed, %llu bytes\n", (unsigned long long)tally.done,
            (unsigned long long)tally.failed, (unsigned long long)tally.bytes);
    gannet_free(loop);
    return tally.failed ? 1 : 0;
}
