/* gannet's C interface on the job of multi.c. usage: gannet CONCURRENCY [CAFILE] < urls > records */
#include <gannet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char ca[1 << 16];

static void done(void *user, gannet_ctl *ctl, gannet_ticket ticket, uint64_t tag, const gannet_result *result) {
    (void)user, (void)ctl, (void)ticket, (void)tag;
    printf("%.*s %u %llu %u\n", (int)result->url.len, result->url.ptr, result->status, (unsigned long long)result->body_bytes,
           result->curl_code);
}

int main(int argc, char **argv) {
    gannet_error error;
    gannet_options options = {.size = sizeof options, .max_per_host = argc > 1 ? atoi(argv[1]) : 64};
    options.max_jobs = 2 * options.max_per_host;
    FILE *file = argc > 2 ? fopen(argv[2], "rb") : NULL;
    if (file) options.ca_pem = ca, options.ca_pem_len = fread(ca, 1, sizeof ca, file);
    gannet *loop = gannet_new(&options, &error);
    if (!loop) return fprintf(stderr, "%s\n", error.text), 1;
    gannet_callbacks callbacks = {.size = sizeof callbacks, .done = done};
    char line[2048], *more = line;
    while (more || gannet_in_flight(loop)) {
        while (more && gannet_wants(loop) && (more = fgets(line, sizeof line, stdin))) {
            line[strcspn(line, "\r\n")] = 0;
            gannet_request request = {.size = sizeof request, .url = line};
            if (!gannet_submit(loop, &request, &error)) fprintf(stderr, "%s: %s\n", line, error.text);
        }
        if (gannet_turn(loop, 1000, &callbacks, &error)) return fprintf(stderr, "%s\n", error.text), 1;
    }
    gannet_free(loop);
    return 0;
}
