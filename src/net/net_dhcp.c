/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net_services.h"

#include "base/fs.h"
#include "base/str.h"
#include "loop/child.h"
#include "net/net_apply_os.h"
#include "net/net_lease.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#define START_MS 8000 /* udhcpc answers, or goes to the background after two questions, two seconds apart */
#define STOP_MS 1000
#define OUTPUT_SIZE 65536
#define LOCK_ADVMSS(size, family) ((unsigned)(size) - ((family) == AF_INET6 ? 60 : 40)) /* IP and TCP headers */

static bool dhcp_start_hook(const char *link, enum net_family family, void *userdata, struct error **errp) {
    return net_dhcp_start(userdata, link, family, errp);
}

static bool dhcp_stop_hook(const char *link, enum net_family family, void *userdata, struct error **errp) {
    return net_dhcp_stop(userdata, link, family, errp);
}

static bool dns_write_hook(const struct net_addr *dns, unsigned n, void *userdata, struct error **errp) {
    const struct net_services *s = userdata;
    return net_dns_write(s->resolv_conf, dns, n, errp);
}

void net_services_init(struct net_services *s) {
    s->hooks = (struct net_apply_hooks){
        .dhcp_start = dhcp_start_hook, .dhcp_stop = dhcp_stop_hook, .dns_write = dns_write_hook, .userdata = s};
}

static int size_for(const struct net_services *s, const char *link) {
    return s->management && str_eq(s->management, link) ? s->control_size : 0;
}

/* Puts the last lease on disk to work, when the client was given none. */
static bool fall_back(const struct net_services *s, const char *name, struct error **errp) {
    struct net_lease lease;
    if (!net_lease_load(s->net_dir, name, NET_FAMILY_IPV4, &lease, errp))
        return *errp == NULL; /* no lease ever: the step's own expectation says so */
    struct link *link;
    int r = link_kernel_open(&link);
    if (r < 0) {
        error_errno(errp, r, "cannot talk to the kernel");
        return false;
    }
    bool ok = net_lease_apply(link, NULL, &lease.address, &lease.gateway, name, size_for(s, name), errp);
    link_free(link);
    return ok;
}

/* The program as a path that a link can point at: a bare name is looked up in PATH. */
static char *program_path(const char *program) {
    _cleanup_strv_ struct strv folders = {0};
    if (strchr(program, '/'))
        return xstrdup(program);
    strv_split(&folders, str_or_empty(getenv("PATH")), ':');
    for (size_t i = 0; i < folders.n; i++) {
        _cleanup_free_ char *path = strf("%s/%s", folders.items[i], program);
        if (access(path, X_OK) == 0)
            return TAKE(path);
    }
    return strf("/usr/sbin/%s", program);
}

/* The name under which the client starts us: a link to the program in our own run folder. */
static bool make_event_link(const struct net_services *s, const char *path, struct error **errp) {
    _cleanup_free_ char *program = program_path(s->netboot_path);
    int r = fs_mkdirs(s->run_dir, 0755);
    if (r == 0) {
        (void)unlink(path); /* perhaps from an older version at another place */
        r = symlink(program, path) < 0 ? -errno : 0;
    }
    if (r < 0)
        error_errno(errp, r, "cannot make '%s'", path);
    return r == 0;
}

/* Which file the lease on disk is: each one kept is a new file, whatever the wall clock says meanwhile. */
struct lease_file {
    ino_t inode;
    struct timespec changed;
};

static struct lease_file lease_file_now(const struct net_services *s, const char *link, enum net_family family) {
    _cleanup_free_ char *path = net_lease_path(s->net_dir, link, family);
    struct stat st;
    if (stat(path, &st) < 0)
        return (struct lease_file){0};
    return (struct lease_file){.inode = st.st_ino, .changed = st.st_ctim};
}

static bool lease_file_eq(struct lease_file a, struct lease_file b) {
    return a.inode == b.inode && a.changed.tv_sec == b.changed.tv_sec && a.changed.tv_nsec == b.changed.tv_nsec;
}

bool net_dhcp_start(const struct net_services *s, const char *link, enum net_family family, struct error **errp) {
    if (family == NET_FAMILY_IPV6) {
        error_internal(errp, "DHCP for IPv6 is not supported; use autoconf or a static address");
        return false;
    }
    if (net_dhcp_pid(s->run_dir, link, family))
        return true;
    _cleanup_free_ char *pid = net_dhcp_pid_path(s->run_dir, link, family);
    _cleanup_free_ char *event = strf("%s/" NET_DHCP_EVENT_NAME, s->run_dir);
    _cleanup_free_ char *net_dir = strf("MUSTER_NET_DIR=%s", s->net_dir);
    _cleanup_free_ char *run_dir = strf("MUSTER_RUN_DIR=%s", s->run_dir);
    _cleanup_free_ char *resolv = strf("MUSTER_RESOLV_CONF=%s", s->resolv_conf);
    _cleanup_free_ char *size = strf("MUSTER_CONTROL_SIZE=%d", size_for(s, link));
    if (!make_event_link(s, event, errp))
        return false;
    struct net_lease last = {0};
    struct error *ignored = NULL;
    char last_ip[NET_ADDR_TEXT_SIZE] = "";
    if (net_lease_load(s->net_dir, link, family, &last, &ignored))
        (void)net_addr_text(&last.address, false, last_ip);
    error_free(ignored);
    struct lease_file before = lease_file_now(s, link, family);
    /* -b: goes on in the background when nobody answers; -O mtu: so that the offered one can be reported. */
    const char *argv[32] = {"env", net_dir, run_dir, resolv, size, "udhcpc", "-b", "-S", "-i", link, "-s",
                            event, "-p",    pid,     "-t",   "2",  "-T",     "2",  "-A", "5",  "-O", "mtu"};
    unsigned n = 0;
    while (argv[n])
        n++;
    if (last_ip[0]) { /* the address it had */
        argv[n++] = "-r";
        argv[n++] = last_ip;
    }
    struct child_result result = {0};
    int r = child_run_sync(argv, NULL, START_MS, OUTPUT_SIZE, &result);
    bool ok = r == 0 && result.exit_code == 0 && !result.timed_out;
    if (r < 0)
        error_errno(errp, r, "cannot start the DHCP client udhcpc");
    else if (!ok)
        error_internal(errp, "the DHCP client udhcpc failed on '%s' with status %d: %.200s", link, result.exit_code,
                       buf_str(&result.err));
    if (r == 0)
        child_result_done(&result);
    bool answered = !lease_file_eq(before, lease_file_now(s, link, family));
    return ok && (answered || fall_back(s, link, errp));
}

bool net_dhcp_stop(const struct net_services *s, const char *link, enum net_family family, struct error **errp) {
    int pid = net_dhcp_pid(s->run_dir, link, family);
    uint64_t deadline = net_clock_ms() + STOP_MS;
    if (pid && kill(pid, SIGTERM) == 0)
        while (kill(pid, 0) == 0 && net_clock_ms() < deadline)
            net_wait_ms(10);
    _cleanup_free_ char *path = net_dhcp_pid_path(s->run_dir, link, family);
    (void)unlink(path);
    (void)net_lease_remove(s->net_dir, link, family);
    return true;
}

bool net_lease_apply(struct link *link, const struct net_addr *old, const struct net_addr *address,
                     const struct net_addr *gateway, const char *name, int control_size, struct error **errp) {
    struct link_info info = {0};
    int r = link_find(link, name, &info);
    struct link_change changes[4];
    size_t n = 0;
    struct link_ip ip = net_to_link_ip(address);
    changes[n++] = (struct link_change){.type = LINK_ADDRESS_ADD,
                                        .address = {.index = info.index, .ip = ip, .prefix_len = address->prefix}};
    if (old && old->family && !net_addr_eq(old, address))
        changes[n++] = (struct link_change){
            .type = LINK_ADDRESS_DEL,
            .address = {.index = info.index, .ip = net_to_link_ip(old), .prefix_len = old->prefix}};
    struct link_route route = {.family = ip.family,
                               .dst = link_ip_network(&ip, address->prefix),
                               .dst_len = address->prefix,
                               .src = ip,
                               .index = info.index,
                               .mtu = (unsigned)control_size,
                               .mtu_locked = control_size > 0,
                               .advmss = control_size > 0 ? LOCK_ADVMSS(control_size, ip.family) : 0,
                               .protocol = LINK_PROTO_KERNEL,
                               .scope = 253};
    if (control_size > 0 && address->prefix < link_ip_bits(&ip))
        changes[n++] = (struct link_change){.type = LINK_ROUTE_REPLACE, .route = route};
    if (gateway->family) {
        route.dst = (struct link_ip){0};
        route.dst_len = 0;
        route.gateway = net_to_link_ip(gateway);
        route.protocol = LINK_PROTO_DHCP;
        route.scope = 0;
        changes[n++] = (struct link_change){.type = LINK_ROUTE_REPLACE, .route = route};
    }
    if (r == 0)
        r = link_batch(link, changes, n, NULL);
    if (r < 0)
        error_errno(errp, r, "cannot put the lease to work on '%s'", name);
    return r == 0;
}

static int env_int(const char *name, int max) {
    int64_t v;
    const char *text = getenv(name);
    return text && str_parse_int(text, 0, max, &v) ? (int)v : 0;
}

/* The first address of a list with blanks. */
static bool env_address(const char *name, struct net_addr *ret) {
    _cleanup_strv_ struct strv words = {0};
    strv_split(&words, str_or_empty(getenv(name)), ' ');
    return words.n && net_addr_parse(words.items[0], ret);
}

bool net_dhcp_event(const struct net_services *s, struct link *link, const char *event, struct error **errp) {
    const char *name = getenv("interface");
    struct net_lease lease = {
        .interface_mtu = env_int("mtu", NET_MTU_MAX), .seconds = env_int("lease", INT32_MAX), .obtained = time(NULL)};
    if (!name || !net_name_set(lease.link, name)) {
        error_internal(errp, "the DHCP client names no interface");
        return false;
    }
    /* "deconfig" comes at every start: taking the address away then would cut a host whose client was restarted. */
    if (!str_eq(event, "bound") && !str_eq(event, "renew"))
        return true;
    int prefix = env_int("mask", 32);
    if (!env_address("ip", &lease.address) || lease.address.family != NET_FAMILY_IPV4) {
        error_internal(errp, "the DHCP server gave no address that can be used");
        return false;
    }
    lease.address.prefix = (uint8_t)(prefix ? prefix : 32);
    (void)env_address("router", &lease.gateway);
    _cleanup_strv_ struct strv servers = {0};
    strv_split(&servers, str_or_empty(getenv("dns")), ' ');
    for (size_t i = 0; i < servers.n && lease.n_dns < NET_MAX_DNS; i++)
        lease.n_dns += net_addr_parse(servers.items[i], &lease.dns[lease.n_dns]);

    struct net_lease old = {0};
    struct error *ignored = NULL;
    (void)!net_lease_load(s->net_dir, name, NET_FAMILY_IPV4, &old, &ignored);
    error_free(ignored);
    if (!net_lease_apply(link, &old.address, &lease.address, &lease.gateway, name, s->control_size, errp))
        return false;
    if (lease.n_dns && !net_dns_write(s->resolv_conf, lease.dns, lease.n_dns, errp))
        return false;
    int r = net_lease_save(s->net_dir, &lease);
    if (r < 0)
        error_errno(errp, r, "cannot keep the lease of '%s'", name);
    return r == 0;
}
