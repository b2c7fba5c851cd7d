/* Mirrors a list of URLs into files within a mebibyte of heap, in a program whose poll(2) loop has something else to do: a
 * timer that must go on. Usage: mirror LIST FOLDER. Each request's own data stands where its tag points. */
#include <errno.h>
#include <fcntl.h>
#include <gannet.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define AT_ONCE 16
#define HOSTS 8
#define REQUEST_BYTES 1024

struct file {
    int fd, used;
    char path[512];
};

struct mirror {
    const char *folder;
    struct file files[AT_ONCE];
    unsigned long ok, failed;
    unsigned long long bytes;
};

static int head(void *user, gannet_ctl *ctl, gannet_ticket ticket, uint64_t tag, const gannet_head *head) {
    (void)user, (void)ctl, (void)ticket;
    struct file *file = (struct file *)(uintptr_t)tag;
    if (head->status != 200) return GANNET_SKIP_BODY;
    if (file->fd < 0) file->fd = open(file->path, O_CREAT | O_TRUNC | O_WRONLY, 0644);
    return file->fd < 0 ? GANNET_STOP : GANNET_GO_ON;
}

static void body(void *user, gannet_ctl *ctl, gannet_ticket ticket, uint64_t tag, const uint8_t *data, size_t len) {
    struct file *file = (struct file *)(uintptr_t)tag;
    while (len > 0) {
        ssize_t count = write(file->fd, data, len);
        if (count < 0) { /* A full disk: this request ends as `cancelled`. */
            gannet_ctl_cancel(ctl, ticket);
            return;
        }
        data += count, len -= (size_t)count;
        ((struct mirror *)user)->bytes += (unsigned long long)count;
    }
}

static void restart(void *user, gannet_ctl *ctl, gannet_ticket ticket, uint64_t tag) {
    struct file *file = (struct file *)(uintptr_t)tag;
    (void)user;
    if (file->fd >= 0 && (ftruncate(file->fd, 0) || lseek(file->fd, 0, SEEK_SET))) gannet_ctl_cancel(ctl, ticket);
}

static void done(void *user, gannet_ctl *ctl, gannet_ticket ticket, uint64_t tag, const gannet_result *result) {
    struct mirror *mirror = user;
    struct file *file = (struct file *)(uintptr_t)tag;
    (void)ctl, (void)ticket;
    int kept = result->ok && file->fd >= 0;
    if (file->fd >= 0 && close(file->fd)) kept = 0;
    if (kept) {
        mirror->ok++;
    } else {
        mirror->failed++;
        if (file->fd >= 0) unlink(file->path);
        fprintf(stderr, "%lu: %u %.*s\n", mirror->ok + mirror->failed, result->status, (int)result->error.len, result->error.ptr);
    }
    file->used = 0;
}

/* As many requests as there is room for. Whether the list may have more. */
static int feed(gannet *loop, struct mirror *mirror, FILE *list, unsigned long *number) {
    char url[REQUEST_BYTES];
    while (gannet_wants(loop) > 0) {
        struct file *file = mirror->files;
        while (file < mirror->files + AT_ONCE && file->used) file++;
        if (file == mirror->files + AT_ONCE) return 1;
        if (!fgets(url, sizeof url, list)) return 0;
        url[strcspn(url, "\r\n")] = 0;
        snprintf(file->path, sizeof file->path, "%s/%05lu", mirror->folder, ++*number);
        file->fd = -1;
        gannet_error error;
        gannet_request request = {.size = sizeof request, .url = url, .tag = (uintptr_t)file, .follow = 1};
        file->used = gannet_submit(loop, &request, &error) != 0;
        if (!file->used) mirror->failed++, fprintf(stderr, "%s: %s\n", url, error.text);
    }
    return 1;
}

int main(int argc, char **argv) {
    FILE *list = argc == 3 ? fopen(argv[1], "r") : NULL;
    if (!list) return fprintf(stderr, "mirror LIST FOLDER\n"), 2;
    gannet_error error;
    gannet_options options = {.size = sizeof options, .preset = GANNET_TINY, .max_connections = AT_ONCE, .max_jobs = AT_ONCE};
    size_t most = gannet_most_bytes(&options, HOSTS, REQUEST_BYTES, &error);
    gannet *loop = most > 0 && most <= 1 << 20 ? gannet_new(&options, &error) : NULL;
    if (!loop) return fprintf(stderr, "%zu bytes: %s\n", most, most ? "too many" : error.text), 2;
    static struct mirror mirror;
    mirror.folder = argv[2];
    gannet_callbacks callbacks = {
        .size = sizeof callbacks, .user = &mirror, .head = head, .body = body, .restart = restart, .done = done};
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct itimerspec often = {{0, 20000000}, {0, 20000000}};
    timerfd_settime(timer, 0, &often, NULL);
    unsigned long number = 0, ticks = 0;
    int more = 1;
    while (more || gannet_in_flight(loop) > 0) {
        more = more && feed(loop, &mirror, list, &number);
        int64_t timeout = gannet_timeout_ms(loop);
        struct pollfd watched[2] = {{gannet_fd(loop), POLLIN, 0}, {timer, POLLIN, 0}};
        if (poll(watched, 2, timeout > 60000 ? 60000 : (int)timeout) < 0 && errno != EINTR) break;
        uint64_t passed;
        if (watched[1].revents && read(timer, &passed, sizeof passed) == sizeof passed) ticks++;
        if (gannet_turn(loop, 0, &callbacks, &error) != GANNET_OK) break;
    }
    printf("%lu files, %lu failed, %llu bytes; %lu ticks; %zu bytes of heap at most\n", mirror.ok, mirror.failed, mirror.bytes,
           ticks, most);
    gannet_free(loop);
    fclose(list);
    return mirror.failed > 0;
}
