/* slao: picks a command from the table and runs it. */
#include "cli/command.h"

int main(int argc, char **argv) {
    return slao_cli_main(argc, argv);
}
