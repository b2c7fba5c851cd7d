/* libcurl's multi interface, handles reused. usage: multi CONCURRENCY [CAFILE] < urls > records */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t drop(char *data, size_t size, size_t count, void *to) {
    (void)data;
    *(size_t *)to += size * count;
    return size * count;
}

struct slot { CURL *easy; size_t bytes; char url[2048]; };

static int next_url(char *line, size_t room) {
    if (!fgets(line, room, stdin)) return 0;
    line[strcspn(line, "\r\n")] = 0;
    return 1;
}

int main(int argc, char **argv) {
    int concurrency = argc > 1 ? atoi(argv[1]) : 64, active = 0;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    CURLM *multi = curl_multi_init();
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)concurrency * 4);
    struct slot *slots = calloc(concurrency, sizeof *slots);
    for (int i = 0; i < concurrency; i++) {
        if (!next_url(slots[i].url, sizeof slots[i].url)) break;
        slots[i].easy = curl_easy_init();
        curl_easy_setopt(slots[i].easy, CURLOPT_URL, slots[i].url);
        curl_easy_setopt(slots[i].easy, CURLOPT_WRITEFUNCTION, drop);
        curl_easy_setopt(slots[i].easy, CURLOPT_WRITEDATA, &slots[i].bytes);
        curl_easy_setopt(slots[i].easy, CURLOPT_PRIVATE, &slots[i]);
        if (argc > 2) curl_easy_setopt(slots[i].easy, CURLOPT_CAINFO, argv[2]);
        curl_multi_add_handle(multi, slots[i].easy);
        active++;
    }
    while (active) {
        int running, left;
        curl_multi_perform(multi, &running);
        CURLMsg *message;
        while ((message = curl_multi_info_read(multi, &left))) {
            if (message->msg != CURLMSG_DONE) continue;
            struct slot *slot;
            long status = 0;
            CURL *easy = message->easy_handle;
            CURLcode result = message->data.result;
            curl_easy_getinfo(easy, CURLINFO_PRIVATE, &slot);
            curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
            printf("%s %ld %zu %d\n", slot->url, status, slot->bytes, result);
            curl_multi_remove_handle(multi, easy);
            slot->bytes = 0;
            if (next_url(slot->url, sizeof slot->url)) {
                curl_easy_setopt(easy, CURLOPT_URL, slot->url);
                curl_multi_add_handle(multi, easy);
            } else {
                active--;
            }
        }
        if (active) curl_multi_poll(multi, NULL, 0, 1000, NULL);
    }
    return 0;
}
