/* Preloaded into a service: writes and syncs of its journal take as long as a file says, "write MS" or "sync MS".
 *
 * SLOW_DISK names that file; without it nothing is slower. The journal is told by its path. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static void wait_for_disk(const char *what, int fd) {
    const char *path = getenv("SLOW_DISK");
    char link[64], target[4096], word[16];
    long milliseconds;
    FILE *told;
    ssize_t length;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    length = readlink(link, target, sizeof target - 1);
    if (path == NULL || length < 0) return;
    target[length] = '\0';
    if (strstr(target, "/journal/") == NULL || (told = fopen(path, "r")) == NULL) return;
    if (fscanf(told, "%15s %ld", word, &milliseconds) == 2 && strcmp(word, what) == 0) usleep(1000 * milliseconds);
    fclose(told);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t offset) {
    static ssize_t (*real)(int, const void *, size_t, off_t);
    if (real == NULL) real = (ssize_t (*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT, "pwrite64");
    wait_for_disk("write", fd);
    return real(fd, bytes, length, offset);
}

int fdatasync(int fd) {
    static int (*real)(int);
    if (real == NULL) real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    wait_for_disk("sync", fd);
    return real(fd);
}
