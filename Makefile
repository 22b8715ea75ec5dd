.PHONY: install

install:
	@scripts/install.sh
