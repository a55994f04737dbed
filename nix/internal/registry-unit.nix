/**
  The service of systemd that runs the registry: a user of its own, who may talk to Nix's daemon and write what is
  remembered, and little else.

  # Inputs

  `start` (string)
  : The command.
*/
{ start }:
{
  ExecStartPre = "${start} --check-config";
  ExecStart = start;
  Restart = "on-failure";
  # Who is being answered has a while for it.
  TimeoutStopSec = 30;
  DynamicUser = true;
  StateDirectory = "strata-registry";
  CacheDirectory = "strata-registry";
  # What evaluations take, and all that they start.
  MemoryMax = "8G";
  TasksMax = 4096;
  LimitNOFILE = 16384;
  CapabilityBoundingSet = "";
  LockPersonality = true;
  NoNewPrivileges = true;
  PrivateDevices = true;
  PrivateTmp = true;
  ProtectClock = true;
  ProtectControlGroups = true;
  ProtectHome = true;
  ProtectHostname = true;
  ProtectKernelLogs = true;
  ProtectKernelModules = true;
  ProtectKernelTunables = true;
  ProtectProc = "invisible";
  ProtectSystem = "strict";
  RestrictAddressFamilies = [
    "AF_INET"
    "AF_INET6"
    "AF_UNIX"
  ];
  RestrictNamespaces = true;
  RestrictRealtime = true;
  RestrictSUIDSGID = true;
  SystemCallArchitectures = "native";
  SystemCallFilter = [
    "@system-service"
    "~@privileged @resources"
  ];
  UMask = "0077";
}
