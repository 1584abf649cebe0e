# frozen_string_literal: true

# Stands in for the gem of this name, of which the Ruby SDK's tests need nothing to run.
