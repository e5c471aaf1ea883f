/* slao plan: what a sweep would run. */
#ifndef SLAO_CLI_PLAN_H
#define SLAO_CLI_PLAN_H

#include "cli/command.h"

slao_command_function slao_plan_command;

#endif
