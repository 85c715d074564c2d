/* SPDX-License-Identifier: Apache-2.0 */
/* muster-console: options. */
#include <getopt.h>
#include <locale.h>
#include <stdio.h>

#include "base/str.h"
#include "tui/tui_console.h"
#include "tui/tui_screen.h"

#define LOG_MODULE "console"
#include "base/log.h"

#define DEFAULT_WIDTH 79
#define EXIT_USAGE 2

static void print_help(void) {
    printf("muster-console: this host, its pool and its network on a text terminal\n\n"
           "usage: muster-console [OPTIONS]\n\n"
           "  --dump SCREEN   print one screen as text and end\n"
           "  --width N       columns of it, 20 to 500; default %d\n"
           "  --help          print this\n"
           "  --version       print the version\n\n"
           "screens:\n",
           DEFAULT_WIDTH);
    for (unsigned i = 0; i < TUI_N_SCREENS; i++)
        printf("  %-10s %s\n", tui_screens[i].name, tui_screens[i].about);
    printf("\nIt needs neither a pool nor a running musterd. Changes are for root. See muster-console(8).\n");
}

enum { OPT_DUMP = 256, OPT_WIDTH, OPT_HELP, OPT_VERSION };

static const struct option options[] = {{"dump", required_argument, NULL, OPT_DUMP},
                                        {"width", required_argument, NULL, OPT_WIDTH},
                                        {"help", no_argument, NULL, OPT_HELP},
                                        {"version", no_argument, NULL, OPT_VERSION},
                                        {0}};

int main(int argc, char **argv) {
    int64_t width = DEFAULT_WIDTH;
    int screen = -1;
    setlocale(LC_ALL, "");
    log_init("muster-console", LOG_LEVEL_ERR);
    for (int opt; (opt = getopt_long(argc, argv, "", options, NULL)) != -1;)
        switch (opt) {
        case OPT_DUMP:
            screen = tui_screen_find(optarg);
            if (screen < 0) {
                fprintf(stderr, "muster-console: there is no screen '%s'; --help names them\n", optarg);
                return EXIT_USAGE;
            }
            break;
        case OPT_WIDTH:
            if (!str_parse_int(optarg, 20, 500, &width)) {
                fprintf(stderr, "muster-console: --width wants 20 to 500 columns\n");
                return EXIT_USAGE;
            }
            break;
        case OPT_HELP:
            print_help();
            return 0;
        case OPT_VERSION:
            printf("muster-console %s\n", MUSTER_VERSION);
            return 0;
        default:
            return EXIT_USAGE;
        }
    if (optind < argc) {
        fprintf(stderr, "muster-console: '%s' is not an option; see --help\n", argv[optind]);
        return EXIT_USAGE;
    }
    if (screen >= 0)
        return tui_console_dump((unsigned)screen, (unsigned)width);
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
        fprintf(stderr, "muster-console: this is no terminal; --dump SCREEN prints a screen as text\n");
        return 1;
    }
    return tui_console_run();
}
