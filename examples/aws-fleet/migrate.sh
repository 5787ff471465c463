#!/bin/sh
# Brings the database to the image that is about to be rolled out, on the seed, which runs that already. No inbound port is needed:
# the agent of Systems Manager on the seed asks for work by itself.
set -eu

seed=i-0abc1234def567890
echo "migrates for $SLUICE_RELEASE of $SLUICE_SITE/$SLUICE_STAGE"
command=$(aws ssm send-command --instance-ids "$seed" --document-name AWS-RunShellScript \
  --parameters 'commands=["cd /srv/shop && ./bin/migrate"]' --query Command.CommandId --output text)
# Waits for 100 s at most; its status is not 0 if the command failed, or has not ended by then.
aws ssm wait command-executed --command-id "$command" --instance-id "$seed"
