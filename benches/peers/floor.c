/* The floor: one epoll loop, one write and one read a request, nothing parsed, nothing kept.
 * usage: floor ADDRESS PORT PATH REQUESTS CONNECTIONS [FILE]
 * With FILE, what is read is written there: head and all, since nothing is parsed.
 * The size of an answer is learned from the first one (head + Content-Length); all others must be as long. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static char request[1024], buffer[1 << 18];
static size_t request_len, answer_len;

static void die(const char *what) { perror(what); exit(1); }

static int dial(const struct sockaddr_in *to) {
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)to, sizeof *to)) die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static void send_request(int fd) {
    if (write(fd, request, request_len) != (ssize_t)request_len) die("write");
}

/* One answer, blocking: its length. */
static size_t learn(const struct sockaddr_in *to) {
    int fd = dial(to);
    send_request(fd);
    size_t have = 0;
    char *end = NULL;
    while (!end) {
        ssize_t n = read(fd, buffer + have, sizeof buffer - 1 - have);
        if (n <= 0) die("read");
        buffer[have += n] = 0;
        end = strstr(buffer, "\r\n\r\n");
    }
    char *length = strcasestr(buffer, "content-length:");
    close(fd);
    return end + 4 - buffer + (length && length < end ? strtoul(length + 15, NULL, 10) : 0);
}

int main(int argc, char **argv) {
    if (argc < 6) return fprintf(stderr, "usage: floor ADDRESS PORT PATH REQUESTS CONNECTIONS [FILE]\n"), 2;
    int out = argc > 6 ? open(argv[6], O_CREAT | O_TRUNC | O_WRONLY, 0600) : -1;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[2]))};
    inet_pton(AF_INET, argv[1], &to.sin_addr);
    long total = atol(argv[4]), sent = 0, done = 0;
    int connections = atoi(argv[5]);
    request_len = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: %s:%s\r\nUser-Agent: floor\r\nAccept: */*\r\n\r\n",
                           argv[3], argv[1], argv[2]);
    answer_len = learn(&to);
    int poll = epoll_create1(0);
    size_t *left = calloc(65536, sizeof *left);
    for (int i = 0; i < connections; i++) {
        int fd = dial(&to);
        struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.fd = fd};
        epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
        if (sent < total) send_request(fd), sent++, left[fd] = answer_len;
    }
    struct epoll_event events[1024];
    while (done < total) {
        int n = epoll_wait(poll, events, 1024, -1);
        if (n < 0 && errno != EINTR) die("epoll_wait");
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            ssize_t got;
            do {
                got = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
                if (got == 0) return fprintf(stderr, "closed\n"), 1;
                if (got < 0) { if (errno == EAGAIN) break; die("recv"); }
                if (out >= 0 && write(out, buffer, got) != got) die("write");
                left[fd] -= got;
                if (left[fd] == 0) {
                    done++;
                    if (sent < total) send_request(fd), sent++, left[fd] = answer_len;
                    break;
                }
            } while (got == (ssize_t)sizeof buffer);
        }
    }
    return 0;
}
