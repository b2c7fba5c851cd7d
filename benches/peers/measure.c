/* Runs a command pinned to one core and says what it cost. usage: measure CORE COMMAND ARG...
 * The last line on the standard error: user µs, system µs, wall µs, peak RSS in KiB, exit status.
 * A program of its own, since a child's peak starts with what its parent held when it forked. */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc < 3) return fprintf(stderr, "usage: measure CORE COMMAND ARG...\n"), 2;
    cpu_set_t core;
    CPU_ZERO(&core);
    CPU_SET(atoi(argv[1]), &core);
    struct timespec begun, ended;
    clock_gettime(CLOCK_MONOTONIC, &begun);
    pid_t child = fork();
    if (child == 0) {
        sched_setaffinity(0, sizeof core, &core);
        if (!freopen("/dev/null", "w", stderr)) _exit(126);
        execvp(argv[2], argv + 2);
        _exit(127);
    }
    int status;
    struct rusage cost;
    if (child < 0 || wait4(child, &status, 0, &cost) != child) return perror("measure"), 2;
    clock_gettime(CLOCK_MONOTONIC, &ended);
    long wall = (ended.tv_sec - begun.tv_sec) * 1000000L + (ended.tv_nsec - begun.tv_nsec) / 1000;
    fprintf(stderr, "%ld %ld %ld %ld %d\n", cost.ru_utime.tv_sec * 1000000L + cost.ru_utime.tv_usec,
            cost.ru_stime.tv_sec * 1000000L + cost.ru_stime.tv_usec, wall, cost.ru_maxrss,
            WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    return 0;
}
