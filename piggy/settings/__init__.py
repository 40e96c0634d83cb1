"""Settings of the web and worker processes; DJANGO_SETTINGS_MODULE names one of base, dev, test, prod."""
