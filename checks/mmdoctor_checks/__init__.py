"""mmdoctor's own rules, one file a rule, found through the entry point group `mmdoctor.checks`."""
