/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole user space of the tests' guest: PID 1, static. It loads the modules in /modules in the order of
 * /modules/order, takes an address (ip=ADDRESS on the kernel's command line), counts on the serial line ten times a
 * second ("beat N"), sends each beat to hb=ADDRESS:PORT (with name=NAME also as whose it is), writes it (with every=N
 * each Nth) to its first disk, then to the second one if that is there from the start, reads the one before back,
 * answers as a guest agent what its name, system and address are (unless the command line says noagent), and switches
 * itself off at the power button. What it says on the serial line is what the tests look for.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/input.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define BLOCK 4096
#define N_BLOCKS 64
#define MAX_BUTTONS 8

static char command_line[4096];

/* The value of key= on the kernel's command line; NULL without it. */
static char *option(const char *key, char *out, size_t size) {
    char *copy = strdup(command_line), *save = NULL, *found = NULL;
    for (char *word = strtok_r(copy, " \n", &save); word; word = strtok_r(NULL, " \n", &save)) {
        size_t n = strlen(key);
        if (strncmp(word, key, n) == 0 && word[n] == '=') {
            snprintf(out, size, "%s", word + n + 1);
            found = out;
        }
    }
    free(copy);
    return found;
}

static void load_modules(void) {
    char name[64], path[128];
    FILE *order = fopen("/modules/order", "r");
    while (order && fscanf(order, "%63s", name) == 1) {
        snprintf(path, sizeof(path), "/modules/%s.ko", name);
        int fd = open(path, O_RDONLY);
        if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) != 0 && errno != EEXIST))
            printf("guest: module %s: %s\n", name, strerror(errno));
        if (fd >= 0)
            close(fd);
    }
    if (order)
        fclose(order);
}

static void set_address(const char *address) {
    struct ifreq r = {0};
    struct sockaddr_in *a = (struct sockaddr_in *)&r.ifr_addr;
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    snprintf(r.ifr_name, sizeof(r.ifr_name), "eth0");
    if (ioctl(s, SIOCGIFMTU, &r) == 0)
        printf("guest: mtu %d\n", r.ifr_mtu);
    a->sin_family = AF_INET;
    inet_pton(AF_INET, address, &a->sin_addr);
    if (ioctl(s, SIOCSIFADDR, &r) != 0)
        printf("guest: address: %s\n", strerror(errno));
    inet_pton(AF_INET, "255.255.255.0", &a->sin_addr);
    ioctl(s, SIOCSIFNETMASK, &r);
    if (ioctl(s, SIOCGIFFLAGS, &r) == 0) {
        r.ifr_flags |= IFF_UP | IFF_RUNNING;
        ioctl(s, SIOCSIFFLAGS, &r);
    }
    close(s);
}

static int beat_socket(char *target, struct sockaddr_in *to) {
    char *colon = strchr(target, ':');
    *to = (struct sockaddr_in){.sin_family = AF_INET};
    if (!colon)
        return -1;
    *colon = '\0';
    to->sin_port = htons((unsigned short)atoi(colon + 1));
    inet_pton(AF_INET, target, &to->sin_addr);
    return socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
}

/* Writes a beat to its block, past the cache, and reads the one before back; once in `every` beats. */
static int check_disk(int disk, unsigned long beat, unsigned long every) {
    static char block[BLOCK] __attribute__((aligned(BLOCK)));
    if (disk < 0 || beat % every != 0)
        return 0;
    beat /= every;
    if (beat > 0) {
        unsigned long seen = 0;
        if (pread(disk, block, BLOCK, (off_t)((beat - 1) % N_BLOCKS) * BLOCK) != BLOCK ||
            sscanf(block, "beat %lu", &seen) != 1 || seen != beat - 1)
            return 1;
    }
    memset(block, 0, sizeof(block));
    snprintf(block, sizeof(block), "beat %lu", beat);
    return pwrite(disk, block, BLOCK, (off_t)(beat % N_BLOCKS) * BLOCK) != BLOCK;
}

static int open_buttons(int *buttons) {
    int n = 0;
    for (int i = 0; i < MAX_BUTTONS; i++) { /* the power button is not always the first */
        char path[32];
        snprintf(path, sizeof(path), "/dev/input/event%d", i);
        int fd = open(path, O_RDONLY | O_NONBLOCK);
        if (fd >= 0)
            buttons[n++] = fd;
    }
    return n;
}

static int was_pressed(const int *buttons, int n) {
    struct input_event e;
    for (int i = 0; i < n; i++)
        while (read(buttons[i], &e, sizeof(e)) == (ssize_t)sizeof(e))
            if (e.type == EV_KEY && e.code == KEY_POWER && e.value == 1)
                return 1;
    return 0;
}

static int count_disks(void) {
    int n = 0;
    for (char c = 'a'; c <= 'h'; c++) {
        char path[16];
        snprintf(path, sizeof(path), "/dev/vd%c", c);
        n += access(path, F_OK) == 0;
    }
    return n;
}

/* ---- the few words of a guest agent (the QEMU guest agent's protocol) ---- */

static int open_agent(void) {
    for (int port = 0; port < 8; port++) {
        char path[64], name[64] = "";
        snprintf(path, sizeof(path), "/sys/class/virtio-ports/vport%dp1/name", port);
        int f = open(path, O_RDONLY);
        ssize_t n = f >= 0 ? read(f, name, sizeof(name) - 1) : 0;
        if (f >= 0)
            close(f);
        snprintf(path, sizeof(path), "/dev/vport%dp1", port);
        if (n > 0 && strncmp(name, "org.qemu.guest_agent.0", 22) == 0)
            return open(path, O_RDWR | O_NONBLOCK);
    }
    return -1;
}

static void answer(int agent, const char *line, const char *address) {
    char text[512], mac[32] = "00:00:00:00:00:00";
    const char *id = strstr(line, "\"id\"");
    int f = open("/sys/class/net/eth0/address", O_RDONLY);
    if (f >= 0) {
        ssize_t n = read(f, mac, 17);
        mac[n > 0 ? n : 0] = '\0';
        close(f);
    }
    if (id && strstr(line, "guest-sync"))
        snprintf(text, sizeof(text), "%s{\"return\": %llu}\n", strstr(line, "delimited") ? "\xff" : "",
                 strtoull(id + strcspn(id, "0123456789"), NULL, 10));
    else if (strstr(line, "guest-get-osinfo"))
        snprintf(text, sizeof(text),
                 "{\"return\": {\"id\": \"tiny\", \"name\": \"Tiny guest\", \"pretty-name\": "
                 "\"Tiny guest 1.2\", \"version-id\": \"1.2\", \"kernel-release\": \"6.1\"}}\n");
    else if (strstr(line, "guest-get-host-name"))
        snprintf(text, sizeof(text), "{\"return\": {\"host-name\": \"tiny\"}}\n");
    else if (strstr(line, "guest-network-get-interfaces"))
        snprintf(text, sizeof(text),
                 "{\"return\": [{\"name\": \"eth0\", \"hardware-address\": \"%s\", \"ip-addresses\": "
                 "[{\"ip-address-type\": \"ipv4\", \"ip-address\": \"%s\", \"prefix\": 24}]}]}\n",
                 mac, address);
    else
        snprintf(text, sizeof(text),
                 "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"not in this guest\"}}\n");
    if (write(agent, text, strlen(text)) < 0)
        printf("guest: agent: %s\n", strerror(errno));
}

/* Whole lines are answered; what is left over waits. */
static void serve_agent(int agent, const char *address) {
    static char in[4096];
    static size_t size;
    ssize_t n = agent >= 0 ? read(agent, in + size, sizeof(in) - 1 - size) : 0;
    if (n <= 0)
        return;
    size += (size_t)n;
    in[size] = '\0';
    for (char *end; (end = memchr(in, '\n', size));) {
        *end = '\0';
        answer(agent, in + strspn(in, "\xff"), address);
        size -= (size_t)(end + 1 - in);
        memmove(in, end + 1, size + 1);
    }
    if (size == sizeof(in) - 1)
        size = 0;
}

int main(void) {
    static const char *const mounts[][3] = {
        {"proc", "/proc", "proc"}, {"sysfs", "/sys", "sysfs"}, {"dev", "/dev", "devtmpfs"}};
    for (int i = 0; i < 3; i++) {
        mkdir(mounts[i][1], 0755);
        mount(mounts[i][0], mounts[i][1], mounts[i][2], 0, NULL);
    }
    int console = open("/dev/console", O_RDWR);
    for (int i = 0; i < 3 && console >= 0; i++)
        dup2(console, i);
    setvbuf(stdout, NULL, _IONBF, 0);
    int fd = open("/proc/cmdline", O_RDONLY);
    ssize_t n = fd >= 0 ? read(fd, command_line, sizeof(command_line) - 1) : 0;
    command_line[n > 0 ? n : 0] = '\0';
    load_modules();
    char address[64] = "", name[32] = "", target[64];
    struct sockaddr_in to;
    int udp = -1, disk = -1, second = -1, buttons[MAX_BUTTONS];
    if (option("ip", address, sizeof(address)))
        set_address(address);
    option("name", name, sizeof(name));
    char number[16] = "1";
    unsigned long every = strtoul(option("every", number, sizeof(number)) ? number : "1", NULL, 10);
    every = every > 0 ? every : 1;
    if (option("hb", target, sizeof(target)))
        udp = beat_socket(target, &to);
    for (int i = 0; i < 40 && disk < 0; i++) {
        disk = open("/dev/vda", O_RDWR | O_DIRECT | O_SYNC);
        if (disk < 0 && strstr(command_line, "nodisk"))
            break;
        if (disk < 0)
            poll(NULL, 0, 50);
    }
    if (disk >= 0)
        second = open("/dev/vdb", O_RDWR | O_DIRECT | O_SYNC);
    int agent = strstr(command_line, "noagent") ? -1 : open_agent();
    int n_buttons = open_buttons(buttons), wrong = 0, n_disks = -1;
    printf("guest: up, disk %s, buttons %d\n", disk >= 0 ? "yes" : "no", n_buttons);
    struct timespec next;
    clock_gettime(CLOCK_MONOTONIC, &next);
    for (unsigned long beat = 0;; beat++) {
        char text[128];
        wrong += check_disk(disk, beat, every);
        wrong += check_disk(second, beat, every);
        int len = snprintf(text, sizeof(text), "beat %lu wrong %d%s%s\n", beat, wrong, name[0] ? " name " : "", name);
        if (udp >= 0)
            sendto(udp, text, (size_t)len, 0, (struct sockaddr *)&to, sizeof(to));
        if (beat % 10 == 0)
            printf("%s", text);
        serve_agent(agent, address);
        int disks = count_disks();
        if (disks != n_disks)
            printf("guest: disks %d\n", n_disks = disks);
        if (was_pressed(buttons, n_buttons)) {
            printf("guest: power button\n");
            sync();
            reboot(RB_POWER_OFF);
        }
        next.tv_nsec += 100000000;
        if (next.tv_nsec >= 1000000000) {
            next.tv_nsec -= 1000000000;
            next.tv_sec++;
        }
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
    }
}
