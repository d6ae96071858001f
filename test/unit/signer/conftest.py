def pytest_configure(config):
    config.addinivalue_line("markers",
                            "plain: a sanitized build passes it over")
