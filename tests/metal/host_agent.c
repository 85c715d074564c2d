/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request:  ID SECONDS SIZE\n<script>      answer:  ID STATUS SIZE\n<output>
 * One at a time. A read at the port gives 0 while nobody is at the other end.
 */
#include "host_init.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define IDLE_MS 20
#define SCRIPT METAL_DIR "/script"
#define OUTPUT METAL_DIR "/output"

/* The device of the port with that name, which /sys knows. */
static int open_port(void) {
    char path[128], name[16];
    for (int i = 0;; i = (i + 1) % 8) {
        snprintf(path, sizeof path, "/sys/class/virtio-ports/vport%dp1/name", i);
        FILE *f = fopen(path, "re");
        bool ours = f && fscanf(f, "%15s", name) == 1 && strcmp(name, "ask") == 0;
        if (f)
            fclose(f);
        snprintf(path, sizeof path, "/dev/vport%dp1", i);
        int fd = ours ? open(path, O_RDWR | O_CLOEXEC) : -1;
        if (fd >= 0)
            return fd;
        pause_ms(IDLE_MS);
    }
}

/* False when the other end left in the middle of a request that had begun. */
static bool read_all(int port, char *data, size_t size, bool begun) {
    while (size > 0) {
        ssize_t n = read(port, data, size);
        if (n <= 0 && begun)
            return false;
        if (n <= 0) {
            pause_ms(IDLE_MS);
            continue;
        }
        data += n;
        size -= (size_t)n;
        begun = true;
    }
    return true;
}

static void write_all(int fd, const char *data, size_t size) {
    while (size > 0) {
        ssize_t n = write(fd, data, size);
        if (n < 0)
            return;
        data += n;
        size -= (size_t)n;
    }
}

/* The script's exit status as a shell has it; 124 when it took too long. */
static int run_script(unsigned seconds) {
    static const char *const argv[] = {"bash", SCRIPT, NULL};
    unlink(OUTPUT);
    pid_t pid = spawn(OUTPUT, argv);
    time_t end = time(NULL) + (time_t)seconds;
    int status;
    while (waitpid(pid, &status, WNOHANG) != pid) {
        if (time(NULL) > end) {
            kill(-pid, SIGKILL);
            waitpid(pid, &status, 0);
            return 124;
        }
        pause_ms(5);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

_Noreturn void agent_run(void) {
    static char text[METAL_MAX_OUTPUT];
    int port = open_port();
    for (;;) {
        char line[128], id[32];
        unsigned seconds;
        size_t size, n = 0;
        while (n + 1 < sizeof line && read_all(port, line + n, 1, n > 0) && line[n] != '\n')
            n++;
        line[n] = '\0';
        if (sscanf(line, "%31s %u %zu", id, &seconds, &size) != 3 || size > METAL_MAX_SCRIPT ||
            !read_all(port, text, size, /* begun= */ size > 0))
            continue;
        int fd = open(SCRIPT, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        write_all(fd, text, size);
        close(fd);
        int status = run_script(seconds);
        fd = open(OUTPUT, O_RDONLY | O_CLOEXEC);
        ssize_t got = 0;
        for (ssize_t k; fd >= 0 && (k = read(fd, text + got, sizeof text - (size_t)got)) > 0;)
            got += k;
        close(fd);
        int head = snprintf(line, sizeof line, "%s %d %zd\n", id, status, got);
        write_all(port, line, (size_t)head);
        write_all(port, text, (size_t)got);
    }
}
